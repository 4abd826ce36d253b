//! `GET /api/v1/events`: changes as they happen, as server-sent events.
//!
//! A stream begins with `hello` (its id is where it stands), or with `reset` when the place named by `Last-Event-ID` is lost
//! and the listener has to ask for everything anew. It ends when the coordinator stops and when its reader lags.

use crate::{
    app::App,
    events::{Event, Listening},
    people::{Caller, How},
};
use axum::{
    Extension,
    extract::State,
    http::HeaderMap,
    response::sse::{self, KeepAlive, Sse},
};
use futures_util::{Stream, StreamExt, stream};
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::sync::broadcast::{Receiver, error::RecvError};

/// How often a silent stream says that it lives, so that proxies keep it.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How often it is looked whether the listener's time is over; who is revoked is out at once.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// Whoever comes through a proxy, or has no name, listens for so long at a time.
const AT_A_TIME: Duration = Duration::from_secs(600);

type Item = Result<sse::Event, Infallible>;

/// The stream.
pub async fn stream(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
) -> Sse<impl Stream<Item = Item> + Send + 'static> {
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let Listening { position, complete, missed, coming } = app.events.listen(last);
    let greeting = if complete { "hello" } else { "reset" };
    let first = (missed.is_empty()).then(|| sse::Event::default().id(position).event(greeting).data("{}"));
    let begun = stream::iter(first.map(Ok)).chain(stream::iter(missed).map(|event| Ok(written(&event))));
    let going_on = stream::unfold((coming, Arc::clone(&app)), next);
    Sse::new(begun.chain(going_on).take_until(Box::pin(end(app, caller))))
        .keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}

/// Until the coordinator stops, or whoever listens would not be let in any more.
async fn end(app: Arc<App>, caller: Caller) {
    let mut changes = app.changes_of_people();
    // Only a proxy knows whether it still vouches for somebody: the browser comes back by itself and asks it. And nobody in
    // particular must not hold a place for ever.
    let longest = matches!(caller.how, How::Proxy { .. } | How::Nobody { .. }).then_some(AT_A_TIME);
    let mut looked = Duration::ZERO;
    while app.is_still(&caller) && longest.is_none_or(|longest| looked < longest) {
        tokio::select! {
            _ = changes.changed() => {}
            goes_on = app.pause(LOOK_AGAIN) => {
                if !goes_on {
                    return;
                }
                looked += LOOK_AGAIN;
            }
        }
    }
}

/// The next change; the end for a reader that lags.
async fn next(
    (mut coming, app): (Receiver<Arc<Event>>, Arc<App>),
) -> Option<(Item, (Receiver<Arc<Event>>, Arc<App>))> {
    match coming.recv().await {
        Ok(event) => Some((Ok(written(&event)), (coming, app))),
        Err(RecvError::Closed) => None,
        Err(RecvError::Lagged(_)) => {
            app.metrics.streams_cut.increment();
            None
        }
    }
}

fn written(event: &Event) -> sse::Event {
    sse::Event::default().id(&event.id).event(event.kind).data(&event.data)
}
