//! What a request costs: told in the answer, bounded, and charged before anything is executed.

use std::sync::{Arc, OnceLock};

use async_graphql::{
    Response, ServerError, ValidationResult,
    async_trait::async_trait,
    extensions::{Extension, ExtensionContext, ExtensionFactory, NextRequest, NextValidation},
    value,
};

use crate::{
    fault::{TOO_COMPLEX, refusal},
    rate::Charge,
};

/// Lists and links multiply (`list::cost`), so this bounds what one request can make the services look up.
pub const LIMIT: usize = 2_000;

/// Measures every request of a schema.
pub struct Cost;

impl ExtensionFactory for Cost {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Measured::default())
    }
}

/// The cost of one request, once its document was found valid.
#[derive(Default)]
struct Measured(OnceLock<usize>);

#[async_trait]
impl Extension for Measured {
    async fn request(&self, ctx: &ExtensionContext<'_>, next: NextRequest<'_>) -> Response {
        let response = next.run(ctx).await;
        match self.0.get() {
            Some(requested) => response.extension("cost", value!({ "requested": *requested, "limit": LIMIT })),
            None => response,
        }
    }

    async fn validation(
        &self,
        ctx: &ExtensionContext<'_>,
        next: NextValidation<'_>,
    ) -> Result<ValidationResult, Vec<ServerError>> {
        let judged = next.run(ctx).await;
        let requested = judged.as_ref().map_or(0, |valid| valid.complexity);
        let bounded = requested <= LIMIT;
        if let Some(charge) = ctx.data_opt::<Charge>() {
            // What is refused is not done: its judging is all that it costs.
            charge.take(if bounded { requested.max(1) } else { 1 }).await.map_err(|refused| vec![refused])?;
        }
        let valid = judged?;
        self.0.get_or_init(|| requested);
        if bounded { Ok(valid) } else { Err(vec![too_costly(requested)]) }
    }
}

fn too_costly(requested: usize) -> ServerError {
    let zh = format!("查询过于复杂：需 {requested} 点，上限 {LIMIT} 点。");
    refusal(TOO_COMPLEX, format!("{zh} The query is too complex: it takes {requested} points of at most {LIMIT}."))
}
