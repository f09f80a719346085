#![expect(clippy::too_many_arguments, reason = "they are arguments of GraphQL fields")]
use async_graphql::{Context, ID, Object, Result};
use wire::{Caller, answer, id::HallSessionId, v1};

use crate::{
    fault::valid,
    list::{Log, cost, log},
};

/// The hall.
#[derive(Default)]
pub struct HallQuery;

#[Object]
impl HallQuery {
    /// One hall session. Null if there is none. Errors: INVALID_ID.
    ///
    /// Permission: anyone.
    #[graphql(complexity = "5 + child_complexity")]
    async fn hall_session(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The hall session's id.")] id: ID,
    ) -> Result<Option<v1::HallSession>> {
        valid::<HallSessionId>(id.clone(), "id")?;
        let caller = Caller::of(ctx)?;
        let request = caller.request(v1::Ids { ids: vec![id.0] });
        Ok(answer(caller.clients.hall.clone().get_hall_sessions(request).await)?.items.into_iter().next())
    }

    /// The paddles of a hall session, by number: all for staff of its centre, for others only those of their own
    /// organizations. Errors: UNAUTHENTICATED, NOT_FOUND, INVALID_ID.
    ///
    /// Permission: whoever is signed in.
    #[graphql(complexity = "20 + child_complexity * 20")]
    async fn paddles(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The hall session's id.")] hall_session_id: ID,
    ) -> Result<Vec<v1::Paddle>> {
        let caller = Caller::of(ctx)?;
        let request = caller.request(v1::ListPaddlesRequest { hall_session_id: hall_session_id.0 });
        Ok(answer(caller.clients.hall.clone().list_paddles(request).await)?.items)
    }

    /// What the terminals of a hall session brought by their journals, and what became of each line, by terminal and
    /// number. Centre staff: HALL_CLERK, AUCTIONEER. Errors: UNAUTHENTICATED, FORBIDDEN, NOT_FOUND, INVALID_INPUT,
    /// INVALID_ID.
    ///
    /// Permission: HALL_CLERK, AUCTIONEER of its centre or of one above.
    #[graphql(complexity = "cost(Some(first.unwrap_or(100)), child_complexity)")]
    async fn hall_journal(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The hall session's id.")] hall_session_id: ID,
        #[graphql(desc = "Only conflicts that the auctioneer has not settled yet.")] conflicts: Option<bool>,
        #[graphql(desc = "1-500; 100 if absent.")] first: Option<i32>,
        #[graphql(desc = "Only lines after this cursor.")] after: Option<String>,
    ) -> Result<Log<v1::JournalEntry>> {
        let caller = Caller::of(ctx)?;
        let continued = after.is_some();
        let conflicts = conflicts.unwrap_or_default();
        let request = v1::ListJournalRequest { hall_session_id: hall_session_id.0, conflicts, after, first };
        let page = answer(caller.clients.hall.clone().list_journal(caller.request(request)).await)?;
        Ok(log(continued, page.items, page.has_next, |entry| format!("{}:{}", entry.device_id, entry.number)))
    }
}
