//! How often somebody may do something: a bucket that fills with time. The time is an argument, the memory bounded.

use jiff::{SignedDuration, Timestamp};
use std::collections::HashMap;

/// Keys remembered; with more the full buckets are forgotten, and should that not help, all.
const MOST: usize = 10_000;

/// So much at once, then one for each `every`.
#[derive(Debug)]
pub struct Allowance {
    burst: u32,
    every: SignedDuration,
    /// When each bucket will be full again.
    full_at: HashMap<String, Timestamp>,
}

impl Allowance {
    /// `burst` at once, then one for each `every`.
    pub fn new(burst: u32, every: SignedDuration) -> Self {
        Self { burst, every, full_at: HashMap::new() }
    }

    /// Takes one.
    ///
    /// # Errors
    /// There is none left; so long until there is.
    pub fn take(&mut self, key: &str, now: Timestamp) -> Result<(), SignedDuration> {
        let burst = i32::try_from(self.burst).unwrap_or(i32::MAX);
        let whole = self.every.checked_mul(burst).unwrap_or(SignedDuration::MAX);
        // One that takes longer to fill than it can is from before a clock was turned back, and is forgotten.
        let known = self.full_at.get(key).filter(|full_at| full_at.duration_since(now) <= whole);
        let full_at = known.map_or(now, |full_at| now.max(*full_at));
        let after = full_at.checked_add(self.every).unwrap_or(Timestamp::MAX);
        let missing = after.duration_since(now) - whole;
        if missing > SignedDuration::ZERO {
            return Err(missing);
        }
        if self.full_at.len() >= MOST && !self.full_at.contains_key(key) {
            self.full_at.retain(|_, full_at| *full_at > now);
            if self.full_at.len() >= MOST {
                self.full_at.clear();
            }
        }
        self.full_at.insert(key.to_owned(), after);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + seconds).unwrap()
    }

    #[test]
    fn so_many_at_once_then_one_at_a_time_and_others_are_not_touched() {
        let mut allowance = Allowance::new(3, SignedDuration::from_secs(10));
        for _ in 0..3 {
            assert_eq!(allowance.take("a", at(0)), Ok(()));
        }
        assert_eq!(allowance.take("a", at(1)), Err(SignedDuration::from_secs(9)));
        assert_eq!(allowance.take("b", at(1)), Ok(()));
        assert_eq!(allowance.take("a", at(10)), Ok(()));
        assert!(allowance.take("a", at(11)).is_err());
        for _ in 0..3 {
            assert_eq!(allowance.take("a", at(100)), Ok(()));
        }
        assert!(allowance.take("a", at(100)).is_err());
    }

    #[test]
    fn a_clock_that_is_turned_back_keeps_nobody_out() {
        let mut allowance = Allowance::new(1, SignedDuration::from_secs(10));
        allowance.take("a", at(100_000)).unwrap();
        assert_eq!(allowance.take("a", at(0)), Ok(()));
        assert!(allowance.take("a", at(1)).is_err());
    }

    #[test]
    fn many_keys_do_not_fill_the_memory() {
        let mut allowance = Allowance::new(1, SignedDuration::from_secs(10));
        for number in 0..3 * MOST {
            let _ = allowance.take(&number.to_string(), at(0));
        }
        assert!(allowance.full_at.len() <= MOST);
    }
}
