//! In which order components can be configured, from what each needs before.

use std::collections::BTreeSet;

/// Groups that can be configured together, in order.
pub type Waves<T> = Vec<Vec<T>>;

/// Orders `items` into waves: each item stands in the first wave after all that it needs.
/// Needs that are not among the items are met from outside. Items of a circle form one last wave,
/// so that nothing is lost; the table of needs has none, and a test says so.
pub fn waves<T: Copy + Ord + 'static>(items: &[T], needs: impl Fn(T) -> &'static [T]) -> Waves<T> {
    let mut rest: Vec<T> = items.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
    let mut waves = Vec::new();
    while !rest.is_empty() {
        let ready = |item: &T| needs(*item).iter().all(|need| !rest.contains(need));
        let (wave, later): (Vec<T>, Vec<T>) = rest.iter().copied().partition(ready);
        if wave.is_empty() {
            waves.push(later);
            break;
        }
        waves.push(wave);
        rest = later;
    }
    waves
}

#[cfg(test)]
mod tests {
    use super::waves;

    fn needs(item: char) -> &'static [char] {
        match item {
            'b' => &['a'],
            'c' => &['a', 'x'],
            'd' => &['b', 'c'],
            'y' => &['z'],
            'z' => &['y'],
            _ => &[],
        }
    }

    #[test]
    fn an_item_comes_after_all_it_needs() {
        assert_eq!(waves(&['d', 'c', 'b', 'a'], needs), [vec!['a'], vec!['b', 'c'], vec!['d']]);
    }

    #[test]
    fn a_need_from_outside_does_not_hold_up() {
        assert_eq!(waves(&['c'], needs), [vec!['c']]);
    }

    #[test]
    fn a_circle_loses_nothing() {
        assert_eq!(waves(&['a', 'y', 'z'], needs), [vec!['a'], vec!['y', 'z']]);
    }
}
