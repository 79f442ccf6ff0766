use super::*;

fn problems(text: &str) -> Vec<String> {
    Config::default().read("c", text).err().unwrap_or_default()
}

#[test]
fn a_whole_file_is_read() {
    let text = r#"
        clean-urls = true
        directory-listing = true
        page-fallback = "/app.html"
        security-headers = true
        hsts-max-age = 31_536_000

        [error-pages]
        404 = "/errors/404.html"
        "503" = "errors/busy.html"

        [[redirects]]
        source = "/old/**"
        destination = "/new/$1"
        kind = 301

        [[headers]]
        source = "**/*.{js,css}"
        headers = { Cache-Control = "max-age=60", X-A = "b" }

        [[headers]]
        source = "/x"
        remove = ["ETag"]
        [headers.headers]
        X-C = "d"

        [cors]
        allow-origins = ["*"]

        [[basic-auth]]
        source = "/private/**"
        users = "/.htpasswd"
    "#;
    let config = Config::default().read("c", text).expect("a configuration");
    assert!(config.clean_urls && config.directory_listing && config.cors.is_some());
    assert_eq!(config.page_fallback.as_ref().map(|page| page.path.as_slice()), Some(&b"app.html"[..]));
    assert_eq!(config.always.len(), security(Some(1)).len());
    let page = |status: u16| config.error_pages.get(&status).map(|page| (page.path.as_slice(), page.place.as_str()));
    assert_eq!(page(404), Some((&b"errors/404.html"[..], "c:9:15")));
    assert_eq!(page(503).map(|page| page.0), Some(&b"errors/busy.html"[..]));
    assert_eq!((config.redirects.len(), config.fields.len()), (1, 2));
    assert_eq!(config.fields[1].set.len() + config.fields[1].remove.len(), 2);
    assert_eq!(config.secrets().collect::<Vec<_>>(), [b".htpasswd"]);
}

#[test]
fn a_file_wins_over_what_is_there() {
    let before = Config { clean_urls: true, directory_listing: true, always: security(None), ..Config::default() };
    let config = before.read("c", "clean-urls = false").expect("a configuration");
    assert!(!config.clean_urls && config.directory_listing && !config.always.is_empty());
    let off = config.read("c", "security-headers = false").expect("a configuration");
    assert!(off.always.is_empty());
    assert!(problems("").is_empty(), "an empty file says nothing");
}

#[test]
fn each_problem_has_its_place_and_says_what_was_expected() {
    let check = |text: &str, expected: &[&str]| {
        let found = problems(text);
        assert_eq!(found.len(), expected.len(), "{text}: {found:#?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.starts_with(expected) && !found.contains('\n'), "{text}: {found}");
        }
    };
    check("clean-urls = 1", &["c:1:14: expected clean-urls to be true or false, found the number 1"]);
    check("\n  clean-url = true", &["c:2:3: expected one of clean-urls, index, directory-listing, page-fallback, "]);
    check("index = []", &["c:1:9: expected 1 to 8 names of files, found 0"]);
    check(
        "index = [\"index.html\", \"a/b\"]",
        &["c:1:24: expected the name of a file, as in \"index.html\"; found \"a/b\""],
    );
    check("index = [\".htaccess\"]", &["c:1:10: expected the name of a file"]);
    check("[types]\ncss = \"x\"", &["c:2:7: expected a type as in \"text/plain; charset=utf-8\", found \"x\""]);
    check("[types]\n\"*.css\" = \"text/css\"", &["c:2:1: expected an extension, as in css, or a file's name"]);
    check(
        "[[encodings]]\nsource = \"/a\"\nencoding = \"deflate\"",
        &["c:3:12: expected encoding to be br, zstd or gzip"],
    );
    check("page-fallback = \"/../x\"", &["c:1:17: expected the path of a file beneath the root"]);
    check("page-fallback = \"/x/\"", &["c:1:17: expected the path of a file"]);
    check("hsts-max-age = 5", &["c:1:16: expected security-headers = true"]);
    check("security-headers = true\nhsts-max-age = -5", &["c:2:16: expected hsts-max-age to be a number from 0 to"]);
    check(
        "[error-pages]\n200 = \"/x\"\n404 = 5\n\"500\" = \"..\"",
        &[
            "c:2:1: expected a status from 400 to 599, found \"200\"",
            "c:3:7: expected 404 to be a string in quotation marks, found the number 5",
            "c:4:9: expected the path of a file",
        ],
    );
    check(
        "[error-pages]\n412 = \"/x\"\n416 = \"/x\"",
        &[
            "c:2:1: expected a status whose page is the site's; 412 ",
            "c:3:1: expected a status whose page is the site's",
        ],
    );
    // What the indentation hides: TOML takes these for keys of the table above them.
    check("[error-pages]\n\nclean-urls = true", &["c:3:1: expected clean-urls above the first [table]"]);
    check(
        "[cors]\nallow-origins = [\"*\"]\nclean-urls = true",
        &["c:3:1: expected one of source, allow-credentials, allow-origins, allow-methods, allow-headers, \
           expose-headers, max-age; found \"clean-urls\"; that belongs above the first [table]"],
    );
    check("[[cors]]\nallow-origins = [\"*\"]", &["c:1:1: expected cors to be a table, found an array"]);
    check(
        "[redirects]\nsource = \"/a\"",
        &["c:1:1: expected redirects to be tables, each under [[redirects]], found a table"],
    );
    check("redirects = 1", &["c:1:13: expected redirects to be tables, each under [[redirects]]"]);
    check(
        "[[redirects]]\n",
        &["c:1:1: expected destination = ", "c:1:1: expected kind = 301, 302, 307 or 308", "c:1:1: expected source = "],
    );
    check(
        "[[redirects]]\nsource = \"a\"\ndestination = \"//e\"\nkind = 303",
        &["c:2:10: expected a glob that begins with /", "c:4:8: expected kind to be 301, 302, 307 or 308, found 303"],
    );
    check(
        "[[redirects]]\nsource = \"/a\"\ndestination = \"//e\"\nkind = 302",
        &["c:3:15: expected a path on this host"],
    );
    check(
        "[[redirects]]\nsource = \"/a\"\ndestination = \"/b\"\nkind = 302\n[[redirects]]\nsource = \"/b\"\ndestination = \"/a\"\nkind = 302",
        &[
            "c:3:15: expected redirects that come to an end, found a circle: to /b to /a to /b",
            "c:7:15: expected redirects",
        ],
    );
    check(
        "clean-urls = true\n[[redirects]]\nsource = \"/a\"\ndestination = \"/a.html\"\nkind = 301",
        &["c:4:15: expected redirects that come to an end, found a circle: to /a.html to /a to /a.html"],
    );
    check(
        "[[redirects]]\nsource = \"/a/**\"\ndestination = \"/a/$1\"\nkind = 301",
        &["c:3:15: expected a destination other than the source: this redirect leads to itself"],
    );
    check(
        "[cors]\nallow-origins = [\"https://a.example\", \"b.example\", \"https://c.example/\", \"*\"]\n\
         allow-headers = [\"A\", \"b c\"]\nexpose-headers = [\"d:\"]",
        &[
            "c:2:39: expected an origin as in \"https://example.org\" (no slash behind it), found \"b.example\"",
            "c:2:52: expected an origin as in",
            "c:2:74: expected \"*\" alone, or origins without it",
            "c:3:23: expected the name of a method or field, found \"b c\"",
            "c:4:19: expected the name of a method or field",
        ],
    );
    check("[cors]\nallow-origins = []", &["c:2:17: expected origins, or \"*\" alone; found none"]);
    check(
        "[cors]\nallow-origins = [\"https://a.example\"]\nallow-headers = [\"*\"]\nallow-credentials = true",
        &["c:3:18: expected names: with allow-credentials"],
    );
    check("[[headers]]\nsource = \"/a\"", &["c:1:1: expected headers = { "]);
    check(
        "[[headers]]\nsource = \"/a\"\nheaders = { Content-Length = \"1\", A = \"b\\r\\nc\" }",
        &[
            "c:3:13: expected a field that says nothing of the message itself; Content-Length",
            "c:3:35: expected a value of visible ASCII",
        ],
    );
    check("[[headers]]\nsource = \"/a\"\nremove = [\"date\"]", &["c:3:11: expected a field that says nothing"]);
    check("[cors]\n", &["c:1:1: expected allow-origins"]);
    // Of another type is told once.
    check("[cors]\nallow-origins = \"*\"", &["c:2:17: expected allow-origins to be strings in brackets"]);
    check(
        "[[redirects]]\nsource = \"/a\"\ndestination = \"/b\"\nkind = \"301\"",
        &["c:4:8: expected kind to be a number from 0 to 999, found \"301\""],
    );
    check("[[headers]]\nsource = \"/a\"\nheaders = 1", &["c:3:11: expected headers to be a table"]);
    check("[cors]\nallow-origins = [\"*\"]\nallow-credentials = true", &["c:2:17: expected a list of origins"]);
    check("[[basic-auth]]\nsource = \"/a\"\nusers = \"users\"", &["c:3:9: expected a hidden file"]);
    check("[[basic-auth]]\nsource = \"/a\"\nusers = \".u\"\nrealm = \"a\\n\"", &["c:4:9: expected a realm"]);
    check("a = \n", &["c:1:5: "]);
    check("clean-urls = true\nclean-urls = true", &["c:2:1: duplicate key"]);
    check("\u{e9} = 1", &["c:1:1: "]);
    check(&(0..=PROBLEMS_SHOWN).map(|number| format!("a{number} = 1\n")).collect::<String>(), &["c:"; PROBLEMS_SHOWN]);
    let many = "[[headers]]\nsource = \"/a\"\nremove = [\"A\"]\n".repeat(RULES_MAX + 1);
    check(&many, &["c:1:1: expected at most 256 of headers, found 257"]);
}

/// The most that are shown, and the line that says how many more there are.
const PROBLEMS_SHOWN: usize = crate::limits::PROBLEMS_MAX + 1;

/// Whatever the bytes, a file is read or its problems told.
#[test]
fn any_text_is_borne() {
    let whole =
        "[[redirects]]\nsource = \"/a/*\"\ndestination = \"/$1\"\nkind = 301\n[cors]\nallow-origins = [\"*\"]\n";
    for end in 0..whole.len() {
        for insert in ["", "\"", "[", "\0", "\u{e9}", "="] {
            let text = format!("{}{insert}{}", &whole[..end], &whole[end..]);
            problems(&text);
            problems(&text[..end + insert.len()]);
        }
    }
    problems(&"[".repeat(10_000));
    problems(&"a.".repeat(10_000));
}
