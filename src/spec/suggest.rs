//! Which known word somebody may have meant.

/// The known word nearest to what was written, if one is near enough to be meant.
pub(super) fn nearest<'w>(written: &str, known: &[&'w str]) -> Option<&'w str> {
    /// No word of a spec is nearly as long, and longer ones would only cost time.
    const LONGEST: usize = 40;
    let plain = |word: &str| word.to_lowercase().replace('-', "_");
    if written.len() > LONGEST {
        return None;
    }
    let written = plain(written);
    known
        .iter()
        .map(|word| (distance(&written, &plain(word)), *word))
        .filter(|(distance, word)| *distance <= (word.len() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// How many letters must be put in, taken out, replaced or swapped with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut two_above: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut row = vec![i + 1];
        for j in 0..b.len() {
            let replace = above[j] + usize::from(a[i] != b[j]);
            let mut least = replace.min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                least = least.min(two_above[j - 1] + 1);
            }
            row.push(least);
        }
        two_above = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        let known = ["version", "url", "package", "monitoring_allowlist"];
        assert_eq!(nearest("verison", &known), Some("version"));
        assert_eq!(nearest("URL", &known), Some("url"));
        assert_eq!(nearest("monitoring-allow-list", &known), Some("monitoring_allowlist"));
        assert_eq!(nearest("colour", &known), None);
        assert_eq!(nearest("", &known), None);
        assert_eq!(nearest(&"version".repeat(9), &known), None);
    }
}
