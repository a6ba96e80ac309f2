//! Text in the quoting of each output format.

use std::fmt::Write as _;
use std::io;

use serde_json::ser::{Formatter, PrettyFormatter};

/// An output format, as far as it quotes text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// YAML 1.1 and 1.2 alike: always in double quotes.
    Yaml,
    /// TOML basic strings.
    Toml,
    /// `docker run --env-file`: raw to the end of the line, no quoting at all.
    Env,
    /// Words of a Dockerfile that need no quoting.
    Dockerfile,
}

impl Dialect {
    /// The dialect of a template by the ending of its name.
    pub(super) fn of_ending(ending: &str) -> Option<Dialect> {
        match ending {
            "yaml" => Some(Dialect::Yaml),
            "toml" => Some(Dialect::Toml),
            "env" => Some(Dialect::Env),
            "dockerfile" => Some(Dialect::Dockerfile),
            _ => None,
        }
    }
}

/// The text as the dialect writes it, or why it cannot.
pub(super) fn string(text: &str, dialect: Dialect) -> Result<String, String> {
    match dialect {
        Dialect::Yaml | Dialect::Toml => Ok(double_quoted(text)),
        Dialect::Env if text.contains(['\n', '\r', '\0']) => Err("an env file cannot carry a line break or NUL".into()),
        Dialect::Dockerfile if !text.bytes().all(|b| b.is_ascii_alphanumeric() || b"@/._:-".contains(&b)) => {
            Err("a word of a Dockerfile is plain".into())
        }
        Dialect::Env | Dialect::Dockerfile => Ok(text.to_owned()),
    }
}

/// In double quotes, with the escapes that YAML 1.1, YAML 1.2 and TOML 1.0 share: `\"`, `\\`,
/// `\uXXXX` and `\UXXXXXXXX`.
fn double_quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            c if c.is_ascii_control() || is_hidden(c) => {
                let number = c as u32;
                let written =
                    if number > 0xffff { write!(quoted, "\\U{number:08X}") } else { write!(quoted, "\\u{number:04X}") };
                written.expect("a String takes all text");
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Characters beyond ASCII that a reader of YAML forbids or folds, or that a reviewer does not see:
/// C1 controls and the no-break space (U+0085 is a line break of YAML 1.1), line and paragraph
/// separators, zero-width and bidirectional controls, the byte order mark, interlinear marks,
/// tags, variation selectors, private use and non-characters.
pub(crate) fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{7f}'..='\u{a0}'
        | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{3164}' | '\u{e000}'..='\u{f8ff}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{ffff}'
        | '\u{e0000}'..='\u{10ffff}')
        || (c as u32) & 0xfffe == 0xfffe
}

/// Pretty JSON that escapes what is hidden, so that a review shows all that is there.
#[derive(Default)]
pub(super) struct VisibleJson(PrettyFormatter<'static>);

impl Formatter for VisibleJson {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut plain = 0;
        for (at, c) in fragment.char_indices().filter(|(_, c)| is_hidden(*c)) {
            writer.write_all(&fragment.as_bytes()[plain..at])?;
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            plain = at + c.len_utf8();
        }
        writer.write_all(&fragment.as_bytes()[plain..])
    }

    fn begin_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_array(writer)
    }
    fn end_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array(writer)
    }
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_array_value(writer, first)
    }
    fn end_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array_value(writer)
    }
    fn begin_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object(writer)
    }
    fn end_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object(writer)
    }
    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_object_key(writer, first)
    }
    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object_value(writer)
    }
    fn end_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object_value(writer)
    }
}
