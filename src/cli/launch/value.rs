//! Checks the values that are resolved at launch. The messages never contain any part of a value.

/// What is wrong with a value, worded to follow "the value of NAME", and how to fix it.
type Problem = (&'static str, &'static str);

/// A token is sent in a header and must be visible ASCII.
pub(super) fn check_token(token: &[u8]) -> Result<(), Problem> {
    let alone = "set it to the token only";
    let blank = |byte: Option<&u8>| byte.is_some_and(|byte| matches!(byte, b' ' | b'\t'));
    if token.is_empty() {
        return Err(("must not be empty", "set it to a token"));
    }
    if token.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
        return Err(("must not contain a line break", alone));
    }
    if blank(token.first()) || blank(token.last()) {
        return Err(("must not start or end with a space or tab", alone));
    }
    if token.contains(&b' ') {
        return Err(("must not contain a space", "set it to the token only, without the scheme"));
    }
    if token.iter().any(u8::is_ascii_control) {
        return Err(("must not contain a control character", alone));
    }
    if !token.is_ascii() {
        return Err(("must be ASCII", alone));
    }
    Ok(())
}

/// A variable of the agent must be one line of text: JSON and env files, which carry it to the agent, would
/// change anything else.
pub(super) fn check_variable(value: &[u8]) -> Result<(), Problem> {
    if value.iter().any(|byte| matches!(byte, b'\n' | b'\r' | 0)) {
        return Err((
            "must not contain a line break or NUL",
            "encode the value, base64 for example, and decode it in the bottle",
        ));
    }
    if std::str::from_utf8(value).is_err() {
        return Err(("must be UTF-8", "encode the value, base64 for example, and decode it in the bottle"));
    }
    Ok(())
}
