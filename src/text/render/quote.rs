//! Text in the quoting of each output format.

use std::fmt;
use std::io;

use serde_json::ser::{Formatter, PrettyFormatter};

use crate::text::visible::is_hidden;

/// How text is written in a format.
#[derive(Clone, Copy, Debug)]
pub enum Quoting {
    /// YAML 1.1, YAML 1.2 and TOML basic strings: always in double quotes, with the escapes that all three
    /// share: `\"`, `\\`, `\uXXXX` and `\UXXXXXXXX`.
    Double,
    /// `docker run --env-file`: raw to the end of the line, no quoting at all.
    EnvLine,
    /// Words of a Dockerfile that need no quoting.
    PlainWord,
}

impl Quoting {
    /// The quoting of a file, by the ending of its name.
    pub const fn of(name: &str) -> Self {
        // Written so that it is decided when the program is compiled, where an unknown ending is an error.
        match name.as_bytes() {
            [.., b'.', b'y', b'a', b'm', b'l'] | [.., b'.', b't', b'o', b'm', b'l'] => Quoting::Double,
            [.., b'.', b'e', b'n', b'v'] => Quoting::EnvLine,
            [.., b'.', b'd', b'o', b'c', b'k', b'e', b'r', b'f', b'i', b'l', b'e'] => Quoting::PlainWord,
            _ => panic!("no quoting for files with this ending"),
        }
    }

    /// Writes a text; fails when the format cannot carry it.
    pub(super) fn write(self, out: &mut impl fmt::Write, text: &str) -> fmt::Result {
        match self {
            Quoting::Double => double(out, text),
            Quoting::EnvLine if text.contains(['\n', '\r', '\0']) => Err(fmt::Error),
            Quoting::PlainWord if !text.bytes().all(|b| b.is_ascii_alphanumeric() || b"@/._:-".contains(&b)) => {
                Err(fmt::Error)
            }
            Quoting::EnvLine | Quoting::PlainWord => out.write_str(text),
        }
    }
}

fn double(out: &mut impl fmt::Write, text: &str) -> fmt::Result {
    out.write_char('"')?;
    if text.bytes().all(|byte| (0x20..0x7f).contains(&byte) && !b"\"\\".contains(&byte)) {
        out.write_str(text)?;
    } else {
        for c in text.chars() {
            match c {
                '"' => out.write_str("\\\"")?,
                '\\' => out.write_str("\\\\")?,
                c if c.is_ascii_control() || is_hidden(c) => match c as u32 {
                    number @ ..=0xffff => write!(out, "\\u{number:04X}")?,
                    number => write!(out, "\\U{number:08X}")?,
                },
                c => out.write_char(c)?,
            }
        }
    }
    out.write_char('"')
}

/// Pretty JSON that escapes what is hidden, so that a review shows all that is there.
#[derive(Default)]
pub(super) struct VisibleJson(PrettyFormatter<'static>);

impl Formatter for VisibleJson {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        // Nearly all is ASCII, in which nothing is hidden but DEL.
        if fragment.is_ascii() && !fragment.contains('\x7f') {
            return writer.write_all(fragment.as_bytes());
        }
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
