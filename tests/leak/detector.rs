//! Finds a text in whatever a careless program would turn it into.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use memchr::memmem;

/// Searches for one text in all forms at once.
pub(crate) struct Detector(Vec<(&'static str, Vec<u8>)>);

type Each = fn(u8) -> String;

/// Forms that are made byte by byte.
const EACH: [(&str, Each); 15] = [
    ("as it is", |byte| char::from(byte).to_string()),
    ("in hexadecimal", |byte| format!("{byte:02x}")),
    ("in capital hexadecimal", |byte| format!("{byte:02X}")),
    ("in hexadecimal with colons", |byte| format!("{byte:02x}:")),
    ("percent-encoded", |byte| format!("%{byte:02x}")),
    ("percent-encoded in capitals", |byte| format!("%{byte:02X}")),
    ("with JSON's escapes", |byte| format!("\\u{byte:04x}")),
    ("with JSON's escapes in capitals", |byte| format!("\\u{byte:04X}")),
    ("with Rust's escapes", |byte| format!("\\u{{{byte:x}}}")),
    ("with C's escapes", |byte| format!("\\x{byte:02x}")),
    ("with octal escapes", |byte| format!("\\{byte:03o}")),
    ("as a list of numbers", |byte| format!("{byte}, ")),
    ("as a JSON list of numbers", |byte| format!("{byte},")),
    ("as a list of lines", |byte| format!("{byte},\n    ")),
    ("in UTF-16", |byte| format!("{}\0", char::from(byte))),
];

impl Detector {
    /// For a text of at least 16 bytes: a shorter one leaves too little of itself in base64.
    pub(crate) fn new(text: &[u8]) -> Self {
        assert!(text.len() >= 16);
        let reversed: Vec<u8> = text.iter().rev().copied().collect();
        let mut forms = Vec::new();
        for (name, each) in EACH {
            for (name, text) in [(name, text), ("backwards", &reversed)] {
                let form: String = text.iter().map(|byte| each(*byte)).collect();
                // What comes after the last one depends on what stands beside the text.
                forms.push((name, form.trim_end_matches([',', ' ', ':', '\n', '\0']).as_bytes().to_vec()));
            }
        }
        for before in 0..3 {
            for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
                for (name, text) in [("in base64", text), ("in base64, backwards", &reversed)] {
                    let encoded = engine.encode([&[0; 3][..before], text].concat());
                    // The ends depend on what stands beside the text.
                    let inner = &encoded[(8 * before).div_ceil(6)..8 * (before + text.len()) / 6];
                    forms.push((name, inner.as_bytes().to_vec()));
                    forms.push(("in base64, all of it backwards", inner.bytes().rev().collect()));
                }
            }
        }
        forms.sort_by(|a, b| a.1.cmp(&b.1));
        forms.dedup_by(|a, b| a.1 == b.1);
        Detector(forms)
    }

    /// In which form the text is in there, and where; without a word of what stands around it.
    pub(crate) fn find(&self, bytes: &[u8]) -> Option<String> {
        let hit = |(name, form): &(&str, Vec<u8>)| memmem::find(bytes, form).map(|at| format!("{name} (byte {at})"));
        self.0.iter().find_map(hit)
    }
}

type Encode = fn(&[u8]) -> Vec<u8>;

/// Ways to leak. They are written down anew: a detector that is tested with its own forms finds them
/// whatever they are.
const LEAKS: [(&str, Encode); 28] = [
    ("raw", |text| text.to_vec()),
    ("base64", |text| STANDARD.encode(text).into_bytes()),
    ("base64, one byte later", |text| STANDARD.encode([b"x", text].concat()).into_bytes()),
    ("base64, two bytes later", |text| STANDARD.encode([b"xy", text, b"z"].concat()).into_bytes()),
    ("base64 without padding", |text| STANDARD_NO_PAD.encode(text).into_bytes()),
    ("base64 of a header", |text| STANDARD.encode([b"user:", text].concat()).into_bytes()),
    ("base64url", |text| URL_SAFE.encode([b"\xff\xfe", text, b"\xff"].concat()).into_bytes()),
    ("base64url without padding", |text| URL_SAFE_NO_PAD.encode([text, b"\xff\xfe\xfd"].concat()).into_bytes()),
    ("claims of a JWT", |text| {
        let claims = serde_json::json!({ "sub": String::from_utf8_lossy(text), "exp": 1 });
        format!("eyJhbGciOiJub25lIn0.{}.sig", URL_SAFE_NO_PAD.encode(claims.to_string())).into_bytes()
    }),
    ("signature of a JWT", |text| [b"eyJhbGciOiJub25lIn0.e30.", text].concat()),
    ("hexadecimal", |text| text.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect()),
    ("capital hexadecimal", |text| text.iter().flat_map(|byte| format!("{byte:02X}").into_bytes()).collect()),
    ("hexadecimal with colons", |text| {
        text.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":").into_bytes()
    }),
    ("percent-encoding", |text| text.iter().flat_map(|byte| format!("%{byte:02x}").into_bytes()).collect()),
    ("capital percent-encoding", |text| text.iter().flat_map(|byte| format!("%{byte:02X}").into_bytes()).collect()),
    ("JSON's escapes", |text| text.iter().flat_map(|byte| format!("\\u00{byte:02x}").into_bytes()).collect()),
    ("JSON's escapes, capital", |text| text.iter().flat_map(|byte| format!("\\u00{byte:02X}").into_bytes()).collect()),
    ("Debug of a text", |text| format!("{:?}", String::from_utf8_lossy(text)).into_bytes()),
    ("escape_unicode", |text| String::from_utf8_lossy(text).escape_unicode().to_string().into_bytes()),
    ("Debug of bytes", |text| format!("{text:?}").into_bytes()),
    ("pretty Debug of a field", |text| format!("{:#?}", Some(String::from_utf8_lossy(text))).into_bytes()),
    ("pretty Debug of bytes", |text| format!("{text:#?}").into_bytes()),
    ("UTF-16", |text| text.iter().flat_map(|byte| [*byte, 0]).collect()),
    ("JSON of bytes", |text| serde_json::to_vec(text).unwrap()),
    ("reversed", |text| text.iter().rev().copied().collect()),
    ("reversed base64", |text| STANDARD.encode(text).into_bytes().into_iter().rev().collect()),
    ("base64 of the reversed", |text| STANDARD.encode(text.iter().rev().copied().collect::<Vec<_>>()).into_bytes()),
    ("octal escapes", |text| text.iter().flat_map(|byte| format!("\\{byte:03o}").into_bytes()).collect()),
];

#[test]
fn the_detector_finds_a_leak_in_every_form_whole_or_in_part() {
    let canaries = super::canary::Canaries::new();
    let detector = canaries.detector();
    for (name, encode) in LEAKS {
        let canary = canaries.next();
        let parts = [&canary[..], &canary[..30], &canary[14..], &canary[1..], &canary[..canary.len() - 1]];
        for part in parts {
            for before in ["", "a", "ab", "error: the value "] {
                let said = [before.as_bytes(), &encode(part.as_bytes()), b" is bad\n"].concat();
                assert!(detector.find(&said).is_some(), "{name} of {} characters", part.len());
            }
        }
    }
}

#[test]
fn the_detector_finds_nothing_where_nothing_is() {
    let (canaries, others) = (super::canary::Canaries::new(), super::canary::Canaries::new());
    let detector = canaries.detector();
    for (name, encode) in LEAKS {
        assert_eq!(detector.find(&encode(others.next().as_bytes())), None, "{name}");
    }
    assert_eq!(detector.find(include_bytes!("../../templates/addon.py")), None);
}

#[test]
fn the_search_of_files_and_streams_finds_what_is_planted_there() {
    let project = super::canary::Project::new(&[("a.yaml", "name: a\n")]);
    let caught = |check: &dyn Fn()| std::panic::catch_unwind(std::panic::AssertUnwindSafe(check)).is_err();
    project.assert_clean("nothing is planted");
    for place in ["planted", "out/deep/.hidden", "tmp/left-over"] {
        let path = project.path().join(place);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, STANDARD.encode(project.canaries.next())).unwrap();
        assert!(caught(&|| project.assert_clean(place)), "{place}");
        std::fs::remove_file(path).unwrap();
    }
    let named = project.path().join(project.canaries.next());
    std::fs::write(&named, "").unwrap();
    assert!(caught(&|| project.assert_clean("a name")));
    std::fs::remove_file(named).unwrap();
    // The variables are canaries: a program that shows them is caught.
    for stream in [">&1", ">&2"] {
        let mut command = std::process::Command::new("sh");
        command.args(["-c", &format!("echo $GITHUB_TOKEN {stream}")]);
        project.dress(&mut command);
        let run = command.output().unwrap();
        assert!(caught(&|| project.assert_silent(&run, stream)), "{stream}");
    }
}
