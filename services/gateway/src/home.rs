//! The front door: until there is a front end, `/` leads to GraphiQL.

use axum::response::Redirect;

/// Answers `/` with 303 See Other to `/graphiql`, where development also names the demo accounts.
pub async fn home() -> Redirect {
    Redirect::to("/graphiql")
}
