//! What a value that is found at launch must be. The words never hold any of it.

/// What is wrong with a value, after "the value of NAME", and how to mend it.
type Problem = (&'static str, &'static str);

/// A token goes into a header: visible ASCII.
pub(super) fn check_token(token: &[u8]) -> Result<(), Problem> {
    let alone = "set it to the token alone";
    let blank = |byte: Option<&u8>| byte.is_some_and(|byte| matches!(byte, b' ' | b'\t'));
    if token.is_empty() {
        return Err(("is empty", "set it to a token"));
    }
    if token.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
        return Err(("has a line break", alone));
    }
    if blank(token.first()) || blank(token.last()) {
        return Err(("has a blank at its start or end", alone));
    }
    if token.contains(&b' ') {
        return Err(("has a blank in it", "set it to the token alone, without the scheme"));
    }
    if token.iter().any(u8::is_ascii_control) {
        return Err(("has a control character", alone));
    }
    if !token.is_ascii() {
        return Err(("has a character that is not ASCII", alone));
    }
    Ok(())
}

/// A variable of the agent is one line of text: what carries it to the agent (JSON, env files)
/// would change anything else.
pub(super) fn check_variable(value: &[u8]) -> Result<(), Problem> {
    if value.iter().any(|byte| matches!(byte, b'\n' | b'\r' | 0)) {
        return Err(("has a line break or NUL", "encode the value, base64 for example, and decode it in the bottle"));
    }
    if std::str::from_utf8(value).is_err() {
        return Err(("is not UTF-8", "encode the value, base64 for example, and decode it in the bottle"));
    }
    Ok(())
}
