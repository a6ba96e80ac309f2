//! Two builds of one input are byte-identical, whatever the folder, locale, time zone, user and
//! file-mode mask.

use crate::support;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use crate::support::folder;

#[test]
fn builds_are_byte_identical_wherever_whenever_and_whoever() {
    let manifest = "name: same\nextends: more/parent\nagent_provider: { template: codex, forward_host_credentials: true }\nenv: { I: \"İı\", TITLE: x }\n";
    let parent = "env: { B: b, A: a }\negress:\n  routes:\n    - host: TITLE.example\n      auth: { scheme: Basic, username: I, token_ref: T }\n";
    let parent_path = "more/parent.yaml";
    let build = |place: &Path, manifest: &Path, change: &dyn Fn(&mut Command)| {
        let out = place.join("out");
        let mut command = Command::new(env!("CARGO_BIN_EXE_bottlec"));
        command.arg("build").arg(manifest).args(["--hermetic", "-o"]).arg(&out).current_dir(place).env_clear();
        change(&mut command);
        let run = command.output().unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        crate::support::contents_below(&out)
    };
    // `extends: more/parent` is a path; it has no ending, so it is not taken for a name.
    let manifest = manifest.replace("more/parent", parent_path);
    let fresh = || {
        let made = folder(&[("deep/er/same.yaml", &manifest), ("deep/er/more/parent.yaml", parent)]);
        // For a user without rights of its own.
        fs::set_permissions(made.path(), fs::Permissions::from_mode(0o777)).unwrap();
        made
    };
    let inside = Path::new("deep/er/same.yaml");

    let first = fresh();
    let expected = build(first.path(), inside, &|command| {
        command.env("LC_ALL", "C").env("TZ", "UTC").env("HOME", "/nowhere");
    });
    assert_eq!(expected.len(), 14);

    let second = fresh();
    let found = build(second.path(), &second.path().join(inside), &|command| {
        command
            .env("LC_ALL", "tr_TR.UTF-8")
            .env("LANG", "tr_TR.UTF-8")
            .env("TZ", "Pacific/Kiritimati")
            .env("HOME", "/elsewhere")
            .env("USER", "somebody");
    });
    assert!(found == expected, "another folder, an absolute path, Turkish, another time zone");

    let third = fresh();
    let own_folder = third.path().join("deep/er");
    fs::set_permissions(&own_folder, fs::Permissions::from_mode(0o777)).unwrap();
    let found = build(&own_folder, Path::new("./same.yaml"), &|command| {
        command
            .env("COLUMNS", "40")
            .env("CLICOLOR_FORCE", "1")
            .env("CODEX_HOME", "/nowhere")
            .env("SOURCE_DATE_EPOCH", "1");
    });
    assert!(found == expected, "the manifest's own folder, a screen of 40 columns");

    // Only root can become somebody else.
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n");
    if is_root {
        let fourth = fresh();
        let found = build(fourth.path(), inside, &|command| {
            command.uid(65534).gid(65534);
        });
        assert!(found == expected, "another user");
    } else {
        support::skipped("another user (needs root)");
    }
}
