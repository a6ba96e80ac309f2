//! Breaks text into lines for a terminal.

/// The lines of a text, each at most `width` characters long where its words allow that. What stands between backticks,
/// such as a command to copy, stays on one line.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in words(text) {
        let line = lines.last_mut().expect("there is a first line");
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

/// The pieces between blanks that are not between backticks.
fn words(text: &str) -> impl Iterator<Item = &str> {
    // A backtick without another one stands for itself.
    let pairs = text.matches('`').count() / 2 * 2;
    let mut ticks = 0;
    text.split(move |char| {
        ticks += usize::from(char == '`');
        char == ' ' && (ticks.is_multiple_of(2) || ticks > pairs)
    })
    .filter(|word| !word.is_empty())
}
