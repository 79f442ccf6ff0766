use super::item::push_time;
use super::*;
use pluto_http::page::escape;

const NOW: i64 = 784_111_777_000_000_000;

fn item(name: &str, kind: ItemKind, size: u64, modified: i64) -> Item {
    Item { name: name.as_bytes().to_vec(), kind, size, modified }
}

fn some() -> Vec<Item> {
    vec![
        item("b.txt", ItemKind::File, 5, NOW),
        item("A.txt", ItemKind::File, 7, NOW - 1),
        item("z", ItemKind::Directory, 0, NOW + 1),
        item("c", ItemKind::Link(Target::Unknown), 0, NOW),
    ]
}

fn text(path: &str, items: Vec<Item>, query: &str, form: Form) -> String {
    let order = Order::parse(Some(query.as_bytes()));
    let page = Page { items, after: Vec::new(), next: None };
    String::from_utf8(write(path.as_bytes(), page, order, form).0).expect("UTF-8")
}

#[test]
fn a_listing_is_sorted_as_it_is_asked_for() {
    let check = |query: &str, expected: [&str; 4]| {
        let html = text("", some(), query, Form::Html);
        let names: Vec<&str> = html.split("href=\"./").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert_eq!(names, expected, "{query}");
    };
    check("", ["z/", "A.txt", "b.txt", "c"]);
    check("sort=name&order=desc", ["z/", "c", "b.txt", "A.txt"]);
    check("sort=size", ["z/", "c", "b.txt", "A.txt"]);
    check("sort=size&order=desc", ["z/", "A.txt", "b.txt", "c"]);
    check("sort=date&order=asc", ["z/", "A.txt", "b.txt", "c"]);
    check("sort=date&order=desc", ["z/", "b.txt", "c", "A.txt"]);
    check("sort=odd&x&order=up", ["z/", "A.txt", "b.txt", "c"]);
}

#[test]
fn equals_are_in_the_order_of_their_names() {
    let items = || {
        let files = ["b", "B", "a"].map(|name| item(name, ItemKind::File, 1, NOW));
        let directories = ["e", "d"].map(|name| item(name, ItemKind::Directory, 0, NOW));
        files.into_iter().chain(directories).collect()
    };
    let check = |query: &str, expected: [&str; 5]| {
        let json = text("", items(), query, Form::Json);
        let names: Vec<&str> = json.split("\"name\":\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert_eq!(names, expected, "{query}");
    };
    check("", ["d", "e", "a", "B", "b"]);
    check("order=desc", ["e", "d", "b", "B", "a"]);
    check("sort=size&order=desc", ["d", "e", "a", "B", "b"]);
    check("sort=date", ["d", "e", "a", "B", "b"]);
}

#[test]
fn the_headings_lead_to_the_other_order() {
    let html = text("", some(), "sort=size&order=asc", Form::Html);
    assert!(html.contains("<th aria-sort=\"ascending\"><a href=\"?sort=size&amp;order=desc\">"), "{html}");
    assert!(html.contains("<th><a href=\"?sort=name&amp;order=asc\">"));
}

#[test]
fn breadcrumbs_lead_up() {
    let check = |path: &str, expected: &str| {
        let html = text(path, Vec::new(), "", Form::Html);
        assert!(html.contains(&format!("<h1>{expected}</h1>")), "{html}");
        assert_eq!(html.contains("href=\"../\">..<"), !path.is_empty());
        assert!(html.contains("This directory is empty."));
    };
    check("", "Home");
    check("a/", "<a href=\"../\">Home</a><i>/</i>a");
    check("a/<b>/", "<a href=\"../../\">Home</a><i>/</i><a href=\"../\">a</a><i>/</i>&lt;b&gt;");
}

#[test]
fn names_are_escaped_wherever_they_stand() {
    let names =
        ["<script>", "a\"b'c", "a&b", "javascript:alert(1)", "%2e%2e", "a?b#c", "a\u{202e}b", "\r\nX: y", "caf\u{e9}"];
    let items = names.iter().map(|name| item(name, ItemKind::File, 1, 0)).collect();
    let html = text("</title>/", items, "", Form::Html);
    let above = text("a\u{202e}b/", Vec::new(), "", Form::Html);
    assert!(!above.contains('\u{202e}'), "{above}");
    for never in ["<script", "\"javascript", "</title>/", "\u{202e}", "\r", "b'c"] {
        assert!(!html.contains(never), "{never:?} in {html}");
    }
    for escaped in [
        "./%3Cscript%3E\"",
        "./javascript:alert(1)\"",
        "./%252e%252e\"",
        "./a%3Fb%23c\"",
        "./caf%C3%A9\"",
        ">caf\u{e9}<",
    ] {
        assert!(html.contains(escaped), "{escaped} in {html}");
    }
    let bytes = Item { name: b"\xff".to_vec(), kind: ItemKind::Directory, size: 0, modified: 0 };
    assert!(text("", vec![bytes], "", Form::Html).contains("./%FF/\">\u{fffd}/<"));
}

#[test]
fn json_has_the_same_entries() {
    let mut items = some();
    items.push(item("\"\\\n\u{7f}\u{e9}", ItemKind::File, u64::MAX, -1));
    let expected = "[\n{\"name\":\"z\",\"type\":\"directory\",\"mtime\":\"1994-11-06T08:49:37Z\",\"url\":\"./z/\"},\n\
        {\"name\":\"\\\"\\\\\\u000a\\u007f\u{e9}\",\"type\":\"file\",\"mtime\":\"1970-01-01T00:00:00Z\",\"size\":18446744073709551615,\"url\":\"./%22%5C%0A%7F%C3%A9\"},\n\
        {\"name\":\"A.txt\",\"type\":\"file\",\"mtime\":\"1994-11-06T08:49:36Z\",\"size\":7,\"url\":\"./A.txt\"},\n\
        {\"name\":\"b.txt\",\"type\":\"file\",\"mtime\":\"1994-11-06T08:49:37Z\",\"size\":5,\"url\":\"./b.txt\"},\n\
        {\"name\":\"c\",\"type\":\"symlink\",\"mtime\":\"1994-11-06T08:49:37Z\",\"url\":\"./c\"}\n]\n";
    assert_eq!(text("", items, "", Form::Json), expected);
    assert_eq!(text("a/", Vec::new(), "", Form::Json), "[\n]\n");
    // Two names that look the same are told apart by their addresses.
    let odd = [b"\xff", b"\xfe"].map(|name| Item { name: name.to_vec(), kind: ItemKind::File, size: 0, modified: 0 });
    let json = text("", odd.to_vec(), "", Form::Json);
    assert_eq!(json.matches("{\"name\":\"\u{fffd}\",").count(), 2, "{json}");
    assert!(json.contains("\"url\":\"./%FE\"}") && json.contains("\"url\":\"./%FF\"}"), "{json}");
}

#[test]
fn a_link_is_shown_as_what_it_leads_to() {
    let items = [
        ("d", Target::Directory, 0),
        ("f", Target::File, 1_000),
        ("n<", Target::Nothing, 0),
        ("u", Target::Unknown, 0),
    ]
    .map(|(name, target, size)| item(name, ItemKind::Link(target), size, NOW));
    let html = text("", items.to_vec(), "sort=name", Form::Html);
    for shown in [
        "<a href=\"./d/\">d/</a></td><td></td>",
        "<a href=\"./f\">f</a></td><td>1.0 kB</td>",
        "<s>n&lt;</s> leads nowhere</td><td></td>",
        "<a href=\"./u\">u</a></td><td></td>",
    ] {
        assert!(html.contains(shown), "{shown}: {html}");
    }
    let json = text("", items.to_vec(), "", Form::Json);
    for shown in [
        "\"target\":\"directory\",\"url\":\"./d/\"",
        "\"target\":\"file\",\"size\":1000,\"url\":\"./f\"",
        "\"target\":null,\"url\":\"./n%3C\"",
        "\"mtime\":\"1994-11-06T08:49:37Z\",\"url\":\"./u\"",
    ] {
        assert!(json.contains(shown), "{shown}: {json}");
    }
}

#[test]
fn dates_are_those_of_the_calendar() {
    let check = |second: i64, expected: &str| {
        let mut out = String::new();
        push_time(&mut out, second * 1_000_000_000);
        assert_eq!(out, expected);
    };
    check(951_782_400, "2000-02-29T00:00:00Z");
    check(951_868_799, "2000-02-29T23:59:59Z");
    check(951_868_800, "2000-03-01T00:00:00Z");
    check(1_798_761_599, "2026-12-31T23:59:59Z");
    check(4_107_542_400, "2100-03-01T00:00:00Z");
}

/// Names that are too long for a page: it has fewer of them, and the next page begins after those.
#[test]
fn a_page_has_fewer_entries_where_names_are_long() {
    let many = |count: usize, end: &str| -> Page {
        let name = |number| format!("{number:05}{end}").into_bytes();
        let item = |number| Item { name: name(number), kind: ItemKind::File, size: 1, modified: 0 };
        Page { items: (0..count).map(item).collect(), after: Vec::new(), next: None }
    };
    for order in ["", "sort=name&order=desc"].map(|query| Order::parse(Some(query.as_bytes()))) {
        let (text, next) = write(b"", many(4_000, ""), order, Form::Html);
        assert!(text.len() < LISTING_BYTES_MAX && next.is_none());
        let long = "&".repeat(250);
        let (text, next) = write(b"", many(4_000, &long), order, Form::Html);
        assert!(text.len() <= LISTING_BYTES_MAX && text.len() > LISTING_BYTES_MAX / 2, "{}", text.len());
        let text = String::from_utf8(text).expect("UTF-8");
        let next = next.expect("there are more");
        let count: usize = std::str::from_utf8(&next[..5]).expect("a number").parse().expect("a number");
        assert_eq!(text.matches("<tr").count(), count + 2, "with the heading; the first is number 0");
        assert!(text.contains(&escape(&next_page(&next, order)).into_owned()));
        assert_eq!(after(next_page(&next, order).strip_prefix('?').map(str::as_bytes)), next);
    }
}
