//! How long something may take to end once nothing uses it any more.

use std::future::Future;
use std::time::{Duration, Instant};

use super::leak::Leak;

/// For what ends by itself. Nextest allows as much.
pub(super) const GRACE: Duration = Duration::from_millis(200);
/// How often to look within that time.
const INTERVAL: Duration = Duration::from_millis(10);

/// Looks until nothing is left or the time is over.
pub(super) async fn until_gone<Look>(grace: Duration, look: impl Fn() -> Look) -> Vec<Leak>
where
    Look: Future<Output = Vec<Leak>>,
{
    let deadline = Instant::now() + grace;
    loop {
        let left = look().await;
        if left.is_empty() || Instant::now() >= deadline {
            return left;
        }
        tokio::time::sleep(INTERVAL).await;
    }
}
