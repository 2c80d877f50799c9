use std::sync::atomic::Ordering;

use super::*;
use crate::fake::{FATAL, FakeRuntime, configuration};
use crate::server::Start;

const MAJOR: Major = Major(17);

fn pool(size: u32) -> (Arc<FakeRuntime>, Arc<Pool>) {
    let runtime = Arc::new(FakeRuntime::default());
    (runtime.clone(), Pool::new(runtime, size, vec!["CREATE ROLE app".into()]))
}

fn made(runtime: &FakeRuntime) -> usize {
    runtime.hosts.load(Ordering::SeqCst)
}

fn dropped(runtime: &FakeRuntime) -> usize {
    runtime.dropped.load(Ordering::SeqCst)
}

fn by_reload(hba: &str) -> Configuration {
    configuration(hba, ApplyMode::Reload, &[])
}

#[tokio::test]
async fn a_new_server_is_prepared_once_and_then_shared_in_turn() {
    let (runtime, pool) = pool(1);
    for _ in 0..3 {
        let mut lease = pool.lease(MAJOR, &by_reload("a")).await.expect("a server");
        assert_eq!(lease.server().facts().version, "17.2");
        assert_eq!(lease.server().facts().openssl.as_deref(), Some("3.5.9"));
    }
    assert_eq!(made(&runtime), 1);
    let queries = runtime.queries.lock().expect("no panic");
    assert_eq!(queries.iter().filter(|query| *query == "CREATE ROLE app").count(), 1);
}

#[tokio::test]
async fn servers_of_a_major_are_asked_once_for_their_versions() {
    let (runtime, pool) = pool(2);
    let (first, second) = (by_reload("a"), by_reload("b"));
    let (first, second) = tokio::join!(pool.lease(MAJOR, &first), pool.lease(MAJOR, &second));
    let [first, second] = [first, second].map(|lease| lease.expect("a server").server().facts().clone());
    assert_eq!((first.version.as_str(), &first), ("17.2", &second));
    let queries = runtime.queries.lock().expect("no panic");
    assert_eq!(queries.iter().filter(|query| *query == "SHOW server_version").count(), 1);
}

#[tokio::test]
async fn a_server_that_has_the_configuration_already_is_preferred() {
    let (runtime, pool) = pool(2);
    let (mut a, mut b) = (
        pool.lease(MAJOR, &by_reload("a")).await.expect("one"),
        pool.lease(MAJOR, &by_reload("b")).await.expect("two"),
    );
    assert_eq!(made(&runtime), 2);
    a.server().reload(&by_reload("a")).await.expect("a reload");
    b.server().reload(&by_reload("b")).await.expect("a reload");
    drop((a, b));
    for hba in ["b", "a", "b"] {
        let mut lease = pool.lease(MAJOR, &by_reload(hba)).await.expect("a server");
        assert!(lease.server().has(&by_reload(hba)));
    }
    // None has this one, and any will do.
    assert!(!pool.lease(MAJOR, &by_reload("c")).await.expect("a server").server().has(&by_reload("c")));
    assert_eq!(made(&runtime), 2);
}

#[tokio::test]
async fn no_more_servers_are_leased_at_once_than_the_pool_has_room_for() {
    let (runtime, pool) = pool(1);
    let lease = pool.lease(MAJOR, &by_reload("a")).await.expect("a server");
    let waits = tokio::time::timeout(Duration::from_millis(50), pool.lease(MAJOR, &by_reload("a"))).await;
    assert!(waits.is_err(), "the only server is leased");
    let beside = pool.lease_beside(MAJOR, &by_reload("a")).await.expect("a second server");
    assert_eq!(made(&runtime), 2, "a server beside does not count, and is another one");
    let second = pool.lease_beside(MAJOR, &by_reload("a")).await.expect("a third server");
    let waits = tokio::time::timeout(Duration::from_millis(50), pool.lease_beside(MAJOR, &by_reload("a"))).await;
    assert!(waits.is_err(), "two are leased so");
    drop((lease, beside, second));
    pool.lease(MAJOR, &by_reload("a")).await.expect("a server that was returned");
    assert_eq!(made(&runtime), 3);
}

#[tokio::test]
async fn a_server_that_is_idle_is_used_for_another_purpose_before_one_is_made() {
    let (runtime, pool) = pool(1);
    let by_start = configuration("a", ApplyMode::Start, &[FATAL]);
    drop(pool.lease(MAJOR, &by_reload("a")).await.expect("a server"));
    let mut lease = pool.lease(MAJOR, &by_start).await.expect("the same server");
    assert!(matches!(lease.server().start(&by_start, false).await, Ok(Start::Failed(_))));
    drop(lease);
    let mut lease = pool.lease(MAJOR, &by_reload("b")).await.expect("the same server");
    assert_eq!(lease.server().reload(&by_reload("b")).await.expect("a reload"), [""; 0]);
    assert_eq!(made(&runtime), 1);
}

#[tokio::test]
async fn a_server_that_should_be_up_and_is_not_is_not_leased_again() {
    let (runtime, pool) = pool(1);
    let mut lease = pool.lease(MAJOR, &by_reload("a")).await.expect("a server");
    lease.server().stop().await.expect("a stop");
    drop(lease);
    assert_eq!(dropped(&runtime), 1);
    assert!(pool.lease(MAJOR, &by_reload("a")).await.expect("another server").server().is_up());
    assert_eq!(made(&runtime), 2);
}

#[tokio::test]
async fn a_failed_start_is_kept_for_the_next_lease_of_the_same_configuration() {
    let (runtime, pool) = pool(1);
    let bad = configuration("a", ApplyMode::Start, &[FATAL]);
    let mut lease = pool.lease(MAJOR, &bad).await.expect("a server");
    let failed = Start::Failed(vec!["FATAL:  could not load server certificate file".into()]);
    assert_eq!(lease.server().start(&bad, false).await.expect("an answer"), failed);
    drop(lease);
    let mut lease = pool.lease(MAJOR, &bad).await.expect("a server");
    assert!(lease.server().has(&bad) && !lease.server().is_up());
    assert_eq!(made(&runtime), 1);
}

#[tokio::test]
async fn a_discarded_server_is_gone_and_its_place_is_free() {
    let (runtime, pool) = pool(1);
    pool.lease(MAJOR, &by_reload("a")).await.expect("a server").distrust();
    assert_eq!(dropped(&runtime), 1);
    pool.lease(MAJOR, &by_reload("a")).await.expect("another server");
    assert_eq!(made(&runtime), 2);
}

#[tokio::test]
async fn a_closed_pool_has_no_servers_and_leases_none() {
    let (runtime, pool) = pool(2);
    let late = pool.lease(MAJOR, &by_reload("a")).await.expect("a server");
    drop(pool.lease(MAJOR, &by_reload("b")).await.expect("a server"));
    // It waits for the lease, and gives up on it.
    pool.close_within(Duration::from_millis(50)).await;
    assert_eq!(dropped(&runtime), 1);
    let refused = pool.lease(MAJOR, &by_reload("a")).await.err().expect("an error");
    assert!(matches!(refused, RuntimeError::PoolClosed), "{refused}");
    drop(late);
    assert_eq!(dropped(&runtime), 2, "a lease that ends late does not return its server");
}
