//! Callers that go away: a future that is dropped between two polls, as by a hang-up, a deadline or a cancelled call.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
};

/// Polls a future until it is completed or has been polled so often, and then drops it at the await where it stands; its
/// output if it was completed. With 0, 1, 2, … it is dropped at each of its awaits in turn. For tests.
#[doc(hidden)]
pub async fn dropped_after<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => {
                left -= 1;
                // The last poll is not waited for: what was begun by it is under way when the future goes.
                if left == 0 { Poll::Ready(None) } else { Poll::Pending }
            }
        }
    })
    .await
}

#[cfg(test)]
#[tokio::test]
async fn a_future_is_polled_so_often_and_no_more() {
    let reached = std::cell::Cell::new(0);
    let steps = || async {
        for step in 1..=3 {
            reached.set(step);
            tokio::task::yield_now().await;
        }
        "done"
    };
    for (polls, expected) in [(0, (None, 0)), (1, (None, 1)), (3, (None, 3)), (4, (Some("done"), 3))] {
        reached.set(0);
        let output = dropped_after(polls, steps()).await;
        assert_eq!((output, reached.get()), expected, "{polls} polls");
    }
}
