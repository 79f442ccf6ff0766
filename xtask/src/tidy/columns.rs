//! The width of prose: lines of Markdown, and comments of Rust, WIT and TOML.

use super::source::comment_lines;

/// The last column of a line of prose. Prose ends before column 100, so that two texts fit side by
/// side on a screen.
const COLUMNS_MAX: usize = 99;

/// Returns how many lines of prose in a file are too long.
pub(crate) fn long_lines(file: &str, text: &str) -> usize {
    let is_prose = match file.rsplit_once('.') {
        Some((_, "md")) => prose_of_markdown(text),
        Some((_, "rs" | "wit")) => comment_lines(text),
        Some((_, "toml")) => comments_of_toml(text),
        _ => return 0,
    };
    text.lines().zip(is_prose).filter(|(line, is_prose)| *is_prose && columns(line) > COLUMNS_MAX).count()
}

/// Returns the length of a line in columns, without the targets of its links, which cannot be
/// broken.
fn columns(line: &str) -> usize {
    let mut rest = line;
    let mut columns = 0;
    while let Some((before, target)) = rest.split_once("](") {
        let Some((_, after)) = target.split_once(')') else { break };
        columns += before.chars().count() + "]()".len();
        rest = after;
    }
    let addresses = rest.split(' ').filter(|word| word.contains("://")).map(|word| word.chars().count());
    columns + rest.chars().count() - addresses.sum::<usize>()
}

/// Returns for each line whether it is prose, which means outside of code blocks and tables.
fn prose_of_markdown(text: &str) -> Vec<bool> {
    let (mut fenced, mut indented, mut blank) = (false, false, true);
    let mut prose = Vec::new();
    for line in text.lines() {
        let start = line.trim_start();
        let is_fence = start.starts_with("```");
        indented = line.starts_with("    ") && (indented || blank);
        blank = start.is_empty();
        prose.push(!fenced && !is_fence && !indented && !start.starts_with('|'));
        fenced ^= is_fence;
    }
    prose
}

/// Returns for each line whether it has a comment. A `#` outside of strings begins a comment.
fn comments_of_toml(text: &str) -> Vec<bool> {
    let mut within: Option<&str> = None;
    let has_comment = |line: &str| {
        let mut rest = line;
        while !rest.is_empty() {
            let quote = ["\"\"\"", "'''", "\"", "'"].into_iter().find(|quote| rest.starts_with(quote));
            let length = match (within, quote) {
                (None, None) if rest.starts_with('#') => return true,
                (None, Some(quote)) => {
                    within = Some(quote);
                    quote.len()
                }
                (Some(end), _) if rest.starts_with(end) => {
                    within = None;
                    end.len()
                }
                // An escaped quote does not end the string.
                (Some("\"" | "\"\"\""), _) if rest.starts_with('\\') => {
                    1 + rest[1..].chars().next().map_or(0, char::len_utf8)
                }
                _ => rest.chars().next().map_or(1, char::len_utf8),
            };
            rest = &rest[length..];
        }
        within = within.filter(|quote| quote.len() == 3);
        false
    };
    text.lines().map(has_comment).collect()
}

#[cfg(test)]
mod tests {
    use super::long_lines;

    fn check(file: &str, lines: &[&str], expected: usize) {
        assert_eq!(long_lines(file, &lines.join("\n")), expected, "{lines:?}");
    }

    #[test]
    fn prose_ends_before_column_100() {
        let words = "a ".repeat(49);
        check("a.md", &[&format!("{words}b")], 0);
        check("a.md", &[&format!("{words}bc")], 1);
        check("a.md", &[&format!("{words}é")], 0);
    }

    #[test]
    fn code_tables_and_links_of_markdown_may_be_longer() {
        let long = "a".repeat(120);
        check("a.md", &["```", &long, "```", &long], 1);
        check("a.md", &["", &format!("    {long}"), &format!("    {long}"), &long], 1);
        check("a.md", &["- an item", &format!("    {long}")], 1);
        check("a.md", &[&format!("| {long} |")], 0);
        check("a.md", &[&format!("[a text](https://example.org/{long}) and more")], 0);
        check("a.md", &[&format!("see https://example.org/{long}")], 0);
        check("a.md", &[&format!("[{long}](https://example.org/)")], 1);
    }

    #[test]
    fn comments_are_prose_and_code_is_not() {
        let long = "a".repeat(120);
        check("a.rs", &[&format!("/// {long}"), &format!("f(\"// {long}\");"), &format!("f({long});")], 1);
        check("a.rs", &[&format!("f({long}); // why")], 1);
        check("a.rs", &["/* one", &long, "*/"], 1);
        check("a.wit", &[&format!("  /// {long}"), &format!("  {long}: func();")], 1);
        check("a.toml", &[&format!("# {long}"), &format!("a = \"# {long}\""), &format!("a = 1 # {long}")], 2);
        check("a.toml", &["a = \"\"\"", &format!("# {long}"), "\"\"\"", &format!("# {long}")], 1);
        check("a.toml", &["a = '''", &format!("\" {long}"), "'''", &format!("b = \"\\\"\" # {long}")], 1);
        check("a.txt", &[&long], 0);
    }
}
