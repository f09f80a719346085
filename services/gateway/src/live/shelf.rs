//! The feeds under way, each under what its watchers have in common.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use async_graphql::Result;

use super::{audience::Audience, events::Feed, price::Price};

/// What the watchers of one feed have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// The document with its variables, but for where to begin.
    pub document: [u8; 32],
    pub audience: Audience,
    /// The lot.
    pub session_id: String,
}

/// A feed that may have come to its end.
pub trait Ends {
    /// Whether nothing comes any more.
    fn is_over(&self) -> bool;
}

/// The feeds of one kind.
pub struct Shelf<F>(Mutex<Places<F>>);

struct Places<F> {
    by_key: HashMap<Key, Arc<Place<F>>>,
    /// With so many the empty places are cleared.
    clear_at: usize,
}

/// Where a feed stands while somebody watches. Who comes first opens it, the others wait for that.
type Place<F> = tokio::sync::Mutex<Weak<F>>;

/// Places are not cleared below this number.
const FEW: usize = 64;

impl<F> Default for Shelf<F> {
    fn default() -> Self {
        Shelf(Mutex::new(Places { by_key: HashMap::new(), clear_at: FEW }))
    }
}

impl<F: Ends> Shelf<F> {
    /// The feed under the key; if there is none that goes on, `open` opens it.
    pub async fn feed<O: Future<Output = Result<Arc<F>>>>(&self, key: Key, open: impl FnOnce() -> O) -> Result<Arc<F>> {
        let place = self.place(key);
        let mut place = place.lock().await;
        if let Some(feed) = place.upgrade().filter(|feed| !feed.is_over()) {
            return Ok(feed);
        }
        let feed = open().await?;
        *place = Arc::downgrade(&feed);
        Ok(feed)
    }

    fn place(&self, key: Key) -> Arc<Place<F>> {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if places.by_key.len() >= places.clear_at {
            let in_use = |place: &Arc<Place<F>>| {
                Arc::strong_count(place) > 1 || place.try_lock().is_ok_and(|feed| feed.strong_count() > 0)
            };
            places.by_key.retain(|_, place| in_use(place));
            places.clear_at = FEW.max(places.by_key.len() * 2);
        }
        places.by_key.entry(key).or_default().clone()
    }
}

/// All feeds of this gateway.
#[derive(Default)]
pub struct Shelves {
    pub events: Shelf<Feed>,
    pub prices: Shelf<Price>,
}
