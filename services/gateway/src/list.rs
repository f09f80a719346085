//! Relay connections over the services' keyset pages.

use async_graphql::{
    Context, ObjectType, OutputType, SimpleObject,
    connection::{Connection, Edge, EmptyFields},
};
use wire::v1;

/// A list that can be counted.
pub type List<T> = Connection<String, T, Total>;

/// A list that is only paged.
pub type Log<T> = Connection<String, T, EmptyFields>;

/// What a countable list tells besides its page.
#[derive(SimpleObject)]
pub struct Total {
    /// How many there are in all that the caller may see. Counted only when selected.
    total_count: Option<i64>,
}

/// The page that the caller wants; the total is asked for only if `totalCount` is selected.
pub fn wanted(ctx: &Context<'_>, first: Option<i32>, after: Option<String>) -> Option<v1::Page> {
    Some(v1::Page { first, after, count: ctx.look_ahead().field("totalCount").exists() })
}

/// A page as a connection; an item's cursor is its id.
pub fn list<T: OutputType>(
    continued: bool,
    items: Vec<T>,
    end: Option<v1::PageEnd>,
    cursor: fn(&T) -> String,
) -> List<T> {
    let end = end.unwrap_or_default();
    let connection = Connection::with_additional_fields(continued, end.has_next, Total { total_count: end.total });
    fill(connection, items, cursor)
}

/// A page of a log as a connection.
pub fn log<T: OutputType>(continued: bool, items: Vec<T>, has_next: bool, cursor: fn(&T) -> String) -> Log<T> {
    fill(Connection::new(continued, has_next), items, cursor)
}

fn fill<T: OutputType, F: ObjectType>(
    mut connection: Connection<String, T, F>,
    items: Vec<T>,
    cursor: fn(&T) -> String,
) -> Connection<String, T, F> {
    connection.edges = items.into_iter().map(|item| Edge::new(cursor(&item), item)).collect();
    connection
}

/// What a list adds to the complexity of a query: each of its items costs what is selected of it.
pub fn cost(first: Option<i32>, child: usize) -> usize {
    let items = usize::try_from(first.unwrap_or(20)).unwrap_or(0);
    items.saturating_mul(child).saturating_add(1)
}
