//! What the command line understands, and what it says otherwise.

use super::*;

fn parsed(line: &str) -> Result<Command, String> {
    parse(&line.split(' ').map(str::to_owned).collect::<Vec<_>>())
}

#[test]
fn every_number_has_an_option_that_sets_it_and_a_line_of_help() {
    let text = help().join("\n");
    let mut numbers = 0;
    for spec in &OPTIONS {
        assert!(text.contains(&format!("\n  {} ", spec.name)), "{}", spec.name);
        let Kind::Number { min, get, set, .. } = &spec.kind else { continue };
        numbers += 1;
        let mut expected = Options::new(80, "html".to_owned());
        assert!(get(&expected) > *min, "{}", spec.name);
        assert!(text.contains(&format!(" [{}]", get(&expected))));
        set(&mut expected, *min);
        for line in [format!("80 html {} {min}", spec.name), format!("80 html {}={min}", spec.name)] {
            // A head may have no more than a target.
            let line = line.replace("html --head-bytes", "html --target-bytes 64 --head-bytes");
            let Ok(Command::Serve(mut found)) = parsed(&line) else { panic!("{line}") };
            assert_eq!(get(&found), *min, "{line}");
            found.head.target_bytes = expected.head.target_bytes;
            assert_eq!(format!("{found:?}"), format!("{expected:?}"), "{line}");
        }
    }
    assert_eq!(numbers, 12);
}

#[test]
fn the_help_fits_a_terminal() {
    for line in help() {
        assert!(line.len() <= 116 && line.trim_end() == line, "{line}");
    }
}

#[test]
fn words_and_flags_are_taken() {
    let line = "80 html --allow-hidden --symlinks deny --access-log=json --metrics-port 9100";
    let Ok(Command::Serve(found)) = parsed(line) else { panic!("{line}") };
    assert!(found.allow_hidden && matches!(found.symlinks, Symlinks::Refuse));
    assert_eq!((found.access_log, found.metrics_port), (Form::Json, Some(9100)));
    for (line, form) in [("off", Form::Off), ("common", Form::Common), ("combined", Form::Combined)] {
        let Ok(Command::Serve(found)) = parsed(&format!("80 html --access-log {line}")) else { panic!("{line}") };
        assert_eq!(found.access_log, form);
    }
    let line = "80 html --config /a/b.toml --virtual-hosts --directory-listing --page-fallback=/app.html --clean-urls \
                --security-headers --check";
    let Ok(Command::Check(found)) = parsed(line) else { panic!("{line}") };
    assert!(found.config.as_deref() == Some("a/b.toml") && found.virtual_hosts);
    assert!(found.site.directory_listing && found.site.clean_urls && !found.site.always.is_empty());
    assert_eq!(found.site.page_fallback.map(|page| page.path), Some(b"app.html".to_vec()));
    let Ok(Command::Serve(found)) = parsed("80 html --no-access-log") else { panic!() };
    assert_eq!(found.access_log, Form::Off);
    assert!(matches!(parsed("80 html --help"), Ok(Command::Help)));
    assert!(matches!(parsed("80 --help"), Ok(Command::Help)));
}

#[test]
fn what_is_wrong_is_said() {
    let check = |line: &str, expected: &str| match parsed(line) {
        Err(error) => assert!(error.starts_with(expected) && !error.contains('\n'), "{line}: {error}"),
        Ok(found) => panic!("{line}: {found:?}"),
    };
    check("80", "expected a port and a folder to serve, found [\"80\"]; --help behind the folder");
    check("web html", "expected a port from 0 to 65535, found \"web\"");
    check("80 --allow-hidden", "expected a folder to serve before the options");
    check("80 html --idle-seconds 0", "--idle-seconds: expected a number from 1 to 86400, found \"0\"");
    check("80 html --idle-seconds", "--idle-seconds: expected a number from 1 to 86400, found \"\"");
    check("80 html --connections 50001", "--connections: expected a number from 1 to 50000, found \"50001\"");
    check("80 html --idle-seconds=1h", "--idle-seconds: expected a number from 1 to 86400, found \"1h\"");
    check("80 html --symlinks allow", "--symlinks: expected follow or deny: the host confines the server to its root");
    check("80 html --config ../x", "--config: expected the path of a file beneath the root, found \"../x\"");
    check("80 html --config", "--config: expected the path of a file beneath the root");
    check("80 html --page-fallback /", "--page-fallback: expected the path of a file");
    check("80 html --symlinks maybe", "--symlinks: expected follow or deny, found \"maybe\"");
    check("80 html --access-log=apache", "--access-log: expected common, combined, json or off, found \"apache\"");
    check("80 html --trusted-proxies localhost", "--trusted-proxies: expected addresses and networks, separated");
    check("80 html --metrics-port http", "--metrics-port: expected a port from 0 to 65535, which the host was told");
    check("80 html --head-bytes 300", "--target-bytes: expected fewer than the 300 bytes of --head-bytes, found 8192");
    check("80 html --allow-hidden=yes", "--allow-hidden: expected no value, found \"yes\"");
    check("80 html --idle-second 3", "there is no option \"--idle-second\": did you mean --idle-seconds?");
    check("80 html --bogus-name", "there is no option \"--bogus-name\"; --help behind the folder lists the options");
    check("80 html more", "expected an option behind the folder, found \"more\"");
    check("80 html --record x", "--record is an option of the host: it stands before the guest's file");
    check("80 html --listen=::", "--listen is an option of the host: it stands before the guest's file");
}

#[test]
fn distances() {
    for (from, to, steps) in [("", "", 0), ("a", "", 1), ("abc", "axc", 1), ("kitten", "sitting", 3), ("ab", "ba", 2)] {
        assert_eq!((distance(from, to), distance(to, from)), (steps, steps), "{from} {to}");
    }
}
