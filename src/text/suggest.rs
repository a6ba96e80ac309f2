//! "Did you mean": the name that was probably meant.

/// The option that was probably meant: one edit away, or the only one with the same beginning, or much alike.
/// Returns `None` if no option is near enough.
pub fn nearest<'o>(given: &str, options: impl Iterator<Item = &'o str>) -> Option<&'o str> {
    let options: Vec<&str> = options.collect();
    let begins_alike = |option: &&&str| {
        let shared = given.chars().zip(option.chars()).take_while(|(a, b)| a == b).count();
        shared >= 4
    };
    let near = options.iter().find(|option| is_one_edit_away(given, option));
    let mut alike = options.iter().filter(begins_alike);
    let alike = alike.next().filter(|_| alike.next().is_none());
    near.or(alike).copied().or_else(|| similar::get_close_matches(given, &options, 1, 0.7).first().copied())
}

/// Whether one character is missing, too many, another, or swapped with its neighbour.
pub fn is_one_edit_away(one: &str, other: &str) -> bool {
    let same = |(a, b): &(char, char)| a == b;
    let start: usize = one.chars().zip(other.chars()).take_while(same).map(|(c, _)| c.len_utf8()).sum();
    let (one, other) = (&one[start..], &other[start..]);
    let end: usize = one.chars().rev().zip(other.chars().rev()).take_while(same).map(|(c, _)| c.len_utf8()).sum();
    let (one, other) = (&one[..one.len() - end], &other[..other.len() - end]);
    // What is left differs at both of its ends.
    let letters = |text: &str| {
        let mut letters = text.chars();
        [letters.next(), letters.next(), letters.next()]
    };
    match (letters(one), letters(other)) {
        ([a, None, _], [b, None, _]) => a != b,
        ([Some(a), Some(b), None], [c, d, None]) => (c, d) == (Some(b), Some(a)),
        _ => false,
    }
}
