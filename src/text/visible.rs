//! Text that is safe to show: whatever a manifest, a tree or a file's name says, it neither steers a
//! terminal nor turns around or hides what is shown. The one place that knows which characters do.

use std::borrow::Cow;

/// The most characters of a short text: a longer one would push what stands before it off the screen.
const LONGEST: usize = 200;

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

/// The text as one line: each character that steers or hides is written out, line breaks and tabs too.
pub fn line(text: &str) -> Cow<'_, str> {
    written_out(text, |c| c.is_control() || is_hidden(c), |c| c.escape_default().to_string())
}

/// The same for a text of several lines, which keeps its line breaks and tabs.
pub fn lines(text: &str) -> Cow<'_, str> {
    written_out(text, steers_lines, |c| c.escape_unicode().to_string())
}

/// The same for a JSON text, as JSON escapes characters; they stand in strings alone.
pub fn json(text: &str) -> Cow<'_, str> {
    let units = |c: char| c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect();
    written_out(text, steers_lines, units)
}

/// The beginning of a text, on one line that does not push away what stands before it.
pub fn short(text: &str) -> String {
    line(&beginning(text)).into_owned()
}

/// Somebody else's words in quotation marks, short. What ends the quotation is bottlec's.
pub fn quoted(text: &str) -> String {
    format!("\"{}\"", line(&beginning(text).replace('\\', "\\\\").replace('"', "\\\"")))
}

fn beginning(text: &str) -> String {
    let mut shown: String = text.chars().take(LONGEST).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

fn steers_lines(c: char) -> bool {
    is_hidden(c) || (c.is_control() && c != '\n' && c != '\t')
}

fn written_out(text: &str, steers: impl Fn(char) -> bool, escape: impl Fn(char) -> String) -> Cow<'_, str> {
    if !text.contains(&steers) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|c| if steers(c) { escape(c) } else { c.to_string() }).collect())
}
