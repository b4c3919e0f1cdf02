//! Packet indices (RFC 3711 section 3.3): 32 bits of rollover counter (ROC) that nobody sends, 16 of sequence number; and the
//! window that tells what was heard before.

/// Indices beyond this do not exist: the key is used up (RFC 3711 section 9.2).
pub const LAST: u64 = (1 << 48) - 1;

/// The index that a sequence number most likely stands for, near the highest one known (RFC 3711 appendix A). `None` when
/// that would be before the first.
#[inline]
pub fn guess(highest: u64, sequence: u16) -> Option<u64> {
    let step = i64::from(sequence.wrapping_sub(highest as u16) as i16);
    // Exactly half way round counts as behind, as in appendix A.
    highest.checked_add_signed(step).filter(|&index| index <= LAST)
}

/// Which of the newest 64 indices were used.
#[derive(Debug, Clone, Copy, Default)]
pub struct Window {
    /// The index above the highest; 0 while there was none.
    above: u64,
    /// Bit n: the highest less n was used.
    used: u64,
}

impl Window {
    /// A window in which nothing below and at `highest` is new.
    pub fn closed_to(highest: u64) -> Self {
        Window { above: highest + 1, used: u64::MAX }
    }

    /// The highest index that was used.
    #[inline]
    pub fn highest(&self) -> Option<u64> {
        self.above.checked_sub(1)
    }

    /// True when an index was not used and is not too old to tell.
    #[inline]
    pub fn is_new(&self, index: u64) -> bool {
        match self.above.checked_sub(index + 1) {
            None => true,
            Some(behind) => behind < 64 && self.used >> behind & 1 == 0,
        }
    }

    /// Notes that an index is used.
    #[inline]
    pub fn note(&mut self, index: u64) {
        match self.above.checked_sub(index + 1) {
            Some(behind) if behind < 64 => self.used |= 1 << behind,
            Some(_) => {}
            None => {
                let ahead = index + 1 - self.above;
                self.used = if ahead < 64 { self.used << ahead } else { 0 } | 1;
                self.above = index + 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_index_is_guessed() {
        assert_eq!(guess(5, 6), Some(6));
        assert_eq!(guess(5, 4), Some(4));
        assert_eq!(guess(0xffff, 0), Some(0x1_0000));
        assert_eq!(guess(0x1_0000, 0xffff), Some(0xffff), "late, from before the wrap");
        assert_eq!(guess(0, 0xffff), None, "there is nothing before the first");
        assert_eq!(guess(0x2_8000, 0), Some(0x2_0000), "half way round is behind");
        assert_eq!(guess(0x2_8001, 0), Some(0x3_0000));
        assert_eq!(guess(LAST, 0), None, "the key is used up");
    }

    #[test]
    fn an_index_is_new_once_and_only_while_the_window_reaches_it() {
        let mut window = Window::default();
        assert_eq!(window.highest(), None);
        for index in [0, 5, 3, 70, 10] {
            assert!(window.is_new(index), "{index}");
            window.note(index);
            assert!(!window.is_new(index), "{index}");
        }
        assert_eq!(window.highest(), Some(70));
        assert!(window.is_new(7) && !window.is_new(6), "64 wide");
        window.note(70 + 64);
        assert!(!window.is_new(70) && window.is_new(71));
    }

    #[test]
    fn a_closed_window_takes_what_comes_after_it() {
        let window = Window::closed_to(9);
        assert!(!window.is_new(9) && !window.is_new(0) && window.is_new(10));
    }
}
