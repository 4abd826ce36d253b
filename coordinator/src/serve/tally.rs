//! How much of us each address or host has taken, so that nobody takes all there is.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
};

/// Counts places by whom they are taken.
#[derive(Debug)]
pub struct Tally<K> {
    most: usize,
    taken: Mutex<HashMap<K, usize>>,
}

/// A place that is taken; dropping it gives it back.
#[derive(Debug)]
pub struct Place<K: Eq + Hash> {
    tally: Arc<Tally<K>>,
    whose: K,
}

impl<K: Eq + Hash + Clone> Tally<K> {
    /// Everybody may have so many.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, taken: Mutex::default() })
    }

    /// One more for `whose`, unless they have all that they may have.
    pub fn take(self: &Arc<Self>, whose: K) -> Option<Place<K>> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(whose.clone()).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Place { tally: Arc::clone(self), whose })
    }
}

impl<K: Eq + Hash> Drop for Place<K> {
    fn drop(&mut self) {
        let mut taken = self.tally.taken.lock().unwrap_or_else(PoisonError::into_inner);
        match taken.get_mut(&self.whose) {
            Some(count) if *count > 1 => *count -= 1,
            // Nobody is remembered who has nothing, or strangers could fill our memory.
            _ => drop(taken.remove(&self.whose)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_so_many_places_and_gives_them_back() {
        let tally = Tally::new(2);
        let (first, second) = (tally.take("a").unwrap(), tally.take("a").unwrap());
        assert!(tally.take("a").is_none());
        assert!(tally.take("b").is_some(), "another one has their own");
        drop(first);
        assert!(tally.take("a").is_some());
        drop(second);
        assert!(tally.taken.lock().unwrap().is_empty(), "nobody is remembered");
    }
}
