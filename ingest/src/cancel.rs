//! Asking a run to stop: responsible for carrying one request, raised once by a signal handler,
//! to threads that poll it and to tasks that wait for it. Once raised it stays raised.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// A request to stop, shared between whoever raises it and whoever obeys it. Clones are the same flag.
#[derive(Clone, Debug, Default)]
pub struct CancelFlag {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    raised: AtomicBool,
    notify: Notify,
}

impl CancelFlag {
    /// A flag nobody has raised yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for the stop. Raising it again changes nothing.
    pub fn cancel(&self) {
        self.shared.raised.store(true, Ordering::SeqCst);
        self.shared.notify.notify_waiters();
    }

    /// Whether the stop was asked for.
    pub fn is_cancelled(&self) -> bool {
        self.shared.raised.load(Ordering::SeqCst)
    }

    /// Returns when the stop is asked for; at once if it already was.
    pub async fn cancelled(&self) {
        let notified = self.shared.notify.notified();
        tokio::pin!(notified);
        // Registered before the flag is looked at: a cancel between the two would go unheard.
        notified.as_mut().enable();
        if self.is_cancelled() {
            return;
        }
        notified.await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_waiter_hears_a_cancel_before_and_after_it_waits() {
        let early = CancelFlag::new();
        early.cancel();
        early.cancelled().await;

        let late = CancelFlag::new();
        let raiser = late.clone();
        let waiting = tokio::spawn(async move { late.cancelled().await });
        tokio::task::yield_now().await;
        raiser.cancel();
        waiting.await.expect("the waiter ends");
        assert!(raiser.is_cancelled());
    }
}
