//! What is wrong with a configuration, and how that is told.

use pluto_sdk::testing::{Outcome, World};

/// How a server with these files ends, and what it says.
fn started(options: &[&str], config: &str) -> (Option<Outcome>, Vec<String>) {
    let mut world = World::new();
    world.file(".pluto.toml", config);
    world.start(pluto::main, &[&["8000", "html"], options].concat());
    world.run_until_idle();
    let lines = world.logs().iter().map(|(_, line)| line.clone()).collect();
    (world.outcome(), lines)
}

#[test]
fn a_wrong_configuration_is_told_line_by_line_and_serves_nothing() {
    for options in [&[][..], &["--check"]] {
        let (outcome, lines) = started(options, "clean-urls = true\nclean-url = 1\n[[redirects]]\nsource = \"x\"\n");
        assert_eq!(outcome, Some(Outcome::Exit(1)));
        assert!(
            lines.iter().any(|line| line.starts_with(".pluto.toml:2:1: expected one of clean-urls, ")),
            "{lines:?}"
        );
        assert!(lines.iter().any(|line| line.starts_with(".pluto.toml:4:10: expected a glob")), "{lines:?}");
        assert!(lines.last().is_some_and(|line| line.starts_with("the configuration has ")), "{lines:?}");
    }
    let (outcome, lines) = started(&["--config", "other.toml"], "");
    assert_eq!(outcome, Some(Outcome::Exit(1)));
    assert!(lines.iter().any(|line| line.starts_with("other.toml: cannot be read: no file")), "{lines:?}");
    let (outcome, lines) = started(&[], "[[basic-auth]]\nsource = \"/**\"\nusers = \".htpasswd\"\n");
    assert_eq!(outcome, Some(Outcome::Exit(1)));
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with(".pluto.toml:3:9: the file of users, .htpasswd, cannot be read: no file")),
        "{lines:?}"
    );
    let (outcome, _) = started(&[], &"# \n".repeat(30_000));
    assert_eq!(outcome, Some(Outcome::Exit(1)), "too long");
}

/// Whoever mends one mistake and checks again should not find the next.
#[test]
fn a_check_tells_all_mistakes_at_once() {
    let config = "clean-url = true\npage-fallback = \"/gone.html\"\n\
        [error-pages]\n404 = \"/lost.html\"\n503 = \"/out.html\"\n\
        [cors]\nallow-origins = [\"a\", \"b\"]\n\
        [[redirects]]\nsource = \"/x\"\ndestination = \"/x\"\nkind = 301\n\
        [[basic-auth]]\nsource = \"/in/**\"\nusers = \".users\"\n\
        [[basic-auth]]\nsource = \"/more/**\"\nusers = \".nobody\"\n";
    let mut world = World::new();
    world.file(".pluto.toml", config);
    world.file(".users", "secret\n\nb:secret\n");
    world.symlink("out.html", "../out.html");
    world.start(pluto::main, &["8000", "html", "--check"]);
    world.run_until_idle();
    let lines: Vec<&str> = world.logs().iter().map(|(_, line)| line.as_str()).collect();
    let expected = [
        ".pluto.toml:1:1: expected one of clean-urls, ",
        ".pluto.toml:7:18: expected an origin",
        ".pluto.toml:7:23: expected an origin",
        ".pluto.toml:10:15: expected a destination other than the source",
        ".users:1: expected NAME:HASH",
        ".users:3: expected ",
        ".pluto.toml:17:9: the file of users, .nobody, cannot be read: no file",
        ".pluto.toml:2:17: page-fallback, gone.html, cannot be opened: no file",
        ".pluto.toml:4:7: the page of 404, lost.html, cannot be opened: no file",
        ".pluto.toml:5:7: the page of 503, out.html, cannot be opened: it leads out of the root by a symbolic link",
        "the configuration has 10 problems",
    ];
    for expected in expected {
        assert!(lines.iter().any(|line| line.starts_with(expected)), "{expected}: {lines:#?}");
    }
    assert_eq!((world.outcome(), lines.len()), (Some(Outcome::Exit(1)), expected.len()), "{lines:#?}");
}

#[test]
fn a_configuration_that_links_out_of_the_root_is_told_in_words() {
    for (links, expected) in [
        ("follow", ".pluto.toml: cannot be read: it leads out of the root by a symbolic link"),
        ("deny", ".pluto.toml: cannot be read: it is a symbolic link"),
    ] {
        let mut world = World::new();
        world.symlink(".pluto.toml", "../shared.toml");
        world.start(pluto::main, &["8000", "html", "--check", "--symlinks", links]);
        world.run_until_idle();
        assert_eq!(world.outcome(), Some(Outcome::Exit(1)));
        assert!(world.logs().iter().any(|(_, line)| line.starts_with(expected)), "{:?}", world.logs());
    }
}

#[test]
fn a_right_configuration_passes_the_check() {
    for (config, expected) in
        [("", "0 redirects"), ("[[redirects]]\nsource = \"/x\"\ndestination = \"/y\"\nkind = 301", "1 redirects")]
    {
        let (outcome, lines) = started(&["--check"], config);
        assert_eq!(outcome, Some(Outcome::Exit(0)));
        assert!(lines.last().is_some_and(|line| line.contains("is right") && line.contains(expected)), "{lines:?}");
    }
}

#[test]
fn a_rule_about_every_response_says_nothing_that_depends_on_it() {
    let (outcome, lines) = started(
        &["--check"],
        "[[headers]]\nsource = \"/**\"\nevery-response = true\nheaders = { Content-Type = \"text/x\" }\n\
         [[headers]]\nsource = \"/**\"\nevery-response = true\nremove = [\"Location\", \"ETag\"]\n",
    );
    assert_eq!(outcome, Some(Outcome::Exit(1)));
    for start in
        [".pluto.toml:4:13: expected a field that means the same", ".pluto.toml:8:11: expected a field that means"]
    {
        assert!(lines.iter().any(|line| line.starts_with(start)), "{lines:?}");
    }
}

/// What the guide shows is right.
#[test]
fn the_example_of_the_guide_passes_the_check() {
    let guide = include_str!("../../../docs/guide/configure.md");
    let (_, behind) = guide.split_once("```toml\n").expect("an example");
    let (example, _) = behind.split_once("```").expect("its end");
    let mut world = World::new();
    world.file(".pluto.toml", example);
    for page in ["index.html", "errors/missing.html", "errors/busy.html"] {
        world.file(page, "page");
    }
    world.file(".htpasswd", "a:$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW\n");
    world.start(pluto::main, &["8000", "html", "--check"]);
    world.run_until_idle();
    assert_eq!(world.outcome(), Some(Outcome::Exit(0)), "{:?}", world.logs());
    let (_, last) = world.logs().last().expect("a line");
    assert!(last.contains("1 redirects, 1 rules for headers, 1 protected areas, 2 error pages"), "{last}");
    // Each key that there is stands in it.
    for key in [
        "clean-urls",
        "index",
        "directory-listing",
        "page-fallback",
        "immutable-names",
        "security-headers",
        "hsts-max-age",
    ] {
        assert!(example.contains(&format!("{key} = ")), "{key}");
    }
}
