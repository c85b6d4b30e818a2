//! What is started, what is read of it, and what is left of it.

use super::*;

fn run(process: &Process, limit: Duration) -> Result<Zeroizing<Vec<u8>>, Error> {
    let wanted = Arc::new(());
    process.run(limit, &Arc::downgrade(&wanted))
}

fn words(command: &str) -> Result<Vec<String>, &'static str> {
    Process::parse(command, "profile `p`").map(|process| process.words)
}

#[test]
fn a_command_is_words_and_nothing_has_a_meaning_but_quotation_marks() {
    for (command, expected) in [
        ("tool", &["tool"][..]),
        ("  tool  --a\tb\n", &["tool", "--a", "b"]),
        ("'/opt/my tool' \"a 'b' c\" d\"e f\"g", &["/opt/my tool", "a 'b' c", "de fg"]),
        ("tool '' $HOME;rm `x` a|b \\n", &["tool", "", "$HOME;rm", "`x`", "a|b", "\\n"]),
    ] {
        assert_eq!(words(command).unwrap(), expected, "{command}");
    }
    for command in ["", "  ", "''", "tool 'a"] {
        words(command).unwrap_err();
    }
}

#[test]
fn what_is_printed_is_a_profile_of_an_access_key() {
    let process = Process::parse("tool hunter2", "profile `p` in /h/config.json").unwrap();
    let now = rfc3339("2026-11-24T12:00:00Z").unwrap();
    let read = |text: &str| process.read(text.as_bytes(), "p", now);
    let key = r#""access_key_id":"id","access_key_secret":"s""#;
    let (credential, life) = read(&format!(r#"{{"mode":"AK",{key}}}"#)).unwrap();
    assert_eq!((credential.access_key_id.as_str(), credential.security_token.is_none()), ("id", true));
    assert_eq!(life, DEFAULT_LIFE);
    let marked = format!("\u{feff}{{\"mode\":\"AK\",{key}}}\r\n");
    assert_eq!(read(&marked).unwrap().0.access_key_id, "id");
    let wide: Vec<u8> = marked.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(process.read(&wide, "p", now).unwrap().0.access_key_id, "id");
    let sts = format!(r#"{{"mode":"StsToken",{key},"sts_token":"t","expiration":"2026-11-24T13:00:00Z"}}"#);
    let (credential, life) = read(&sts).unwrap();
    assert_eq!(credential.security_token.unwrap().expose_secret(), "t");
    assert_eq!(life.as_secs(), 3600);
    for (text, problem) in [
        ("<html>hunter2</html>", "printed 20 bytes that are no JSON object"),
        ("", "printed 0 bytes"),
        ("[\"hunter2\"]", "no JSON object"),
        (r#"{"mode":"hunter2"}"#, "a `mode` other than"),
        (r#"{"access_key_id":"hunter2"}"#, "no `mode`"),
        (r#"{"mode":"AK","access_key_id":"hunter2"}"#, "no `access_key_secret`"),
        (
            r#"{"mode":"AK","access_key_id":"i","access_key_secret":"hunter2 x"}"#,
            "access key whose secret has the character U+0020 at position 8",
        ),
        (&format!(r#"{{"mode":"StsToken",{key}}}"#), "no `sts_token`"),
        (&sts.replace("13:00", "11:00"), "has expired already"),
        (&sts.replace("2026-11-24T13:00:00Z", "hunter2"), "not a point in time"),
    ] {
        let error = read(text).unwrap_err();
        let shown = format!("{error} {error:?} {process:?}");
        assert!(shown.contains(problem) && shown.contains("profile `p`"), "{shown}");
        assert!(error.is_transient() && !shown.contains("hunter2"), "{shown}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_daemon_that_holds_the_output_open_keeps_no_thread_once_the_time_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let noted = folder.path().join("pipe");
    for then in ["exit 0", "sleep 60"] {
        // The daemon keeps the pipe alive, so that its number is given to no other.
        let pipe = format!("exec 3>&1; readlink /proc/$$/fd/3 > {}", noted.display());
        let command = format!("sh -c '{pipe}; setsid sleep 3 & {then}'");
        let process = Process::parse(&command, "profile `p`").unwrap();
        let began = Clock::System.now();
        let error = run(&process, Duration::from_secs(1)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
        assert!(Clock::System.now().since(began) < Duration::from_millis(2_500));
        let pipe = std::fs::read_to_string(&noted).unwrap();
        assert!(pipe.starts_with("pipe:["), "{pipe}");
        // A thread that still reads would hold its end open.
        let open = std::fs::read_dir("/proc/self/fd").unwrap();
        let open = open.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok());
        assert_eq!(open.filter(|file| file.as_os_str() == pipe.trim_end()).count(), 0);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn children_are_stopped_when_the_program_itself_has_ended_before_them() {
    let folder = tempfile::tempdir().unwrap();
    let noted = folder.path().join("pid");
    let command = format!("sh -c 'sleep 60 & echo $! > {}; exit 0'", noted.display());
    run(&Process::parse(&command, "profile `p`").unwrap(), Duration::from_millis(300)).unwrap_err();
    let child = std::fs::read_to_string(&noted).unwrap();
    let state = || std::fs::read_to_string(format!("/proc/{}/stat", child.trim())).unwrap_or_default();
    // Its new parent may not have waited for it yet.
    let is_over = || state().is_empty() || state().contains(") Z ");
    for _ in 0..200 {
        if is_over() {
            return;
        }
        thread::sleep(POLL_INTERVAL);
    }
    panic!("still there: {}", state());
}

#[cfg(unix)]
#[test]
fn a_program_knows_that_a_client_has_started_it() {
    let process = Process::parse(&format!("sh -c 'printf %s ${MARK}'"), "profile `p`").unwrap();
    assert_eq!(run(&process, Duration::from_secs(5)).unwrap().as_slice(), b"1");
}

#[cfg(unix)]
#[test]
fn a_program_has_no_input_no_shell_and_a_bound_on_time_and_output() {
    let run = |command: &str, millis| {
        run(&Process::parse(command, "profile `p`").unwrap(), Duration::from_millis(millis))
    };
    assert_eq!(run("printf %s {}", 5_000).unwrap().as_slice(), b"{}");
    // `cat` would wait for ever if there were any input.
    assert_eq!(run("cat", 5_000).unwrap().as_slice(), b"");
    assert_eq!(run("printf %s $HOME;x", 5_000).unwrap().as_slice(), b"$HOME;x");
    for (command, kind, problem) in [
        ("sleep 60", ErrorKind::Timeout, "was not done within 200ms and was stopped"),
        (
            "sh -c 'sleep 60 & exit 0'",
            ErrorKind::Timeout,
            "has ended, and a program that it started still held its output open after 200ms",
        ),
        ("sh -c 'exec 1>&-; sleep 60'", ErrorKind::Timeout, "was stopped"),
        ("cat /dev/zero", ErrorKind::InvalidResponse, "more than 64 KiB"),
        ("sh -c 'echo hunter2; echo hunter2 >&2; exit 1'", ErrorKind::Unavailable, "failed (exit status: 1)"),
        ("/no/such/program hunter2", ErrorKind::Credential, "cannot be started"),
    ] {
        let error = run(command, 200).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert_eq!(error.kind(), kind, "{command}: {shown}");
        assert!(shown.contains(problem) && !shown.contains("hunter2"), "{shown}");
    }
}
