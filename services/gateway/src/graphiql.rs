//! GraphiQL at `/graphiql`, working without internet.
//!
//! `web/` builds the page into `web/dist/`, and cargo embeds that folder when it is there. When it
//! is not, the page says how to build it, above the library's own page, which needs a public CDN.
//! The example operations are in `web/src/examples.js`.

use std::borrow::Cow;

use async_graphql::http::GraphiQLSource;
use axum::{
    Router,
    body::Bytes,
    extract::Path,
    http::{
        StatusCode,
        header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS},
    },
    response::{Html, IntoResponse, Response},
    routing::get,
};
use rust_embed::Embed;
use serde::Serialize;
use serde_json::json;

/// Where GraphiQL posts queries and mutations.
pub const ENDPOINT: &str = "/graphql";

/// Where GraphiQL opens graphql-transport-ws for subscriptions.
pub const SUBSCRIPTION_ENDPOINT: &str = "/graphql/ws";

/// What our page may load and reach: this server only. Editors set styles from scripts, and the
/// library's fonts and small images are inline; nothing else is excepted, so a bundle that phoned
/// out would be stopped.
const POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; font-src data:; \
                      img-src 'self' data:; object-src 'none'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

/// The place in both pages where the context goes.
const MARK: &str = "<!-- jishi:context -->";

/// The page that stands in for ours when `web/dist/` was absent at compile time.
const MISSING: &str = include_str!("../assets/graphiql-missing.html");

// `debug-embed` is on (workspace dependency), so debug builds embed like release builds do.
#[derive(Embed)]
#[folder = "../../web/dist"]
#[allow_missing = true]
struct Assets;

/// An account that the seed made for trying things out, shown with its password. Development only.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DemoAccount {
    /// What to type as the login.
    pub login: Cow<'static, str>,
    /// The password, in clear.
    pub password: Cow<'static, str>,
    /// The secret of its second factor in base32, if it has one: `jishi code LOGIN` prints the present code.
    pub secret: Option<String>,
    /// What the account may do, in Chinese.
    pub role_zh: Cow<'static, str>,
    /// What the account may do, in English.
    pub role_en: Cow<'static, str>,
}

/// Whether this binary contains the page. A release that answers false was built without
/// `cd web && npm ci && npm run build`.
#[must_use]
pub fn is_embedded() -> bool {
    Assets::get("index.html").is_some()
}

/// The routes `/graphiql` and `/graphiql/{file}`. The page names the demo accounts it is given;
/// production gives none.
pub fn routes<S>(demo_accounts: &[DemoAccount]) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    let page = match Assets::get("index.html") {
        Some(index) => {
            let page = with_context(&String::from_utf8_lossy(&index.data), demo_accounts);
            get(async move || ([(CONTENT_SECURITY_POLICY, POLICY)], fresh(page)))
        }
        None => {
            let page = with_context(MISSING, demo_accounts);
            get(async move || fresh(page))
        }
    };
    Router::new().route("/graphiql", page).route("/graphiql/{file}", get(file))
}

/// One file of the page. Its name has a hash of its content in it, so browsers may keep it for ever.
async fn file(Path(name): Path<String>) -> Response {
    if name == "cdn" && !is_embedded() {
        return fresh(library_page().into()).into_response();
    }
    let kind = match name.rsplit_once('.') {
        Some((_, "js")) => "text/javascript; charset=utf-8",
        Some((_, "css")) => "text/css; charset=utf-8",
        Some((_, "txt")) => "text/plain; charset=utf-8",
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    let Some(asset) = Assets::get(&name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let headers = [
        (CONTENT_TYPE, kind),
        (CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, asset.data).into_response()
}

/// A page that browsers ask for again each time: it names the files of this very build.
fn fresh(page: Bytes) -> impl IntoResponse {
    ([(CACHE_CONTROL, "no-cache"), (X_CONTENT_TYPE_OPTIONS, "nosniff")], Html(page))
}

/// The library's own GraphiQL page, whose scripts come from a public CDN.
fn library_page() -> String {
    GraphiQLSource::build()
        .endpoint(ENDPOINT)
        .subscription_endpoint(SUBSCRIPTION_ENDPOINT)
        .title("技市 Jishi · GraphiQL")
        .finish()
}

/// The template with the context in it as a block of JSON, which the page's script reads.
fn with_context(template: &str, demo_accounts: &[DemoAccount]) -> Bytes {
    let context = json!({
        "endpoint": ENDPOINT,
        "subscriptionEndpoint": SUBSCRIPTION_ENDPOINT,
        "demoAccounts": demo_accounts,
    });
    // Inside a script element only `<` could end the block, and JSON has it in strings alone.
    let context = context.to_string().replace('<', "\\u003c");
    let block = format!(r#"<script type="application/json" id="jishi-context">{context}</script>"#);
    template.replace(MARK, &block).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_cannot_break_out_of_the_page() -> Result<(), Box<dyn std::error::Error>> {
        let hostile = DemoAccount {
            login: "</script><script>alert(1)</script><!--".into(),
            password: "\"\\&".into(),
            secret: Some("<".into()),
            role_zh: "经纪人".into(),
            role_en: "broker".into(),
        };
        let page = with_context(MARK, std::slice::from_ref(&hostile));
        let json = std::str::from_utf8(&page)?
            .strip_prefix(r#"<script type="application/json" id="jishi-context">"#)
            .and_then(|rest| rest.strip_suffix("</script>"))
            .ok_or("not one block")?;
        assert!(!json.contains('<'));
        let read: serde_json::Value = serde_json::from_str(json)?;
        assert_eq!(read.pointer("/demoAccounts/0"), Some(&serde_json::to_value(&hostile)?));
        Ok(())
    }

    #[test]
    fn the_page_for_a_missing_build_tells_the_command_and_takes_the_context() {
        assert!(MISSING.contains("npm ci"));
        assert_eq!(MISSING.matches(MARK).count(), 1);
    }

    #[test]
    fn the_embedded_page_refers_only_to_files_that_are_embedded() {
        let Some(index) = Assets::get("index.html") else {
            return;
        };
        let index = String::from_utf8_lossy(&index.data);
        assert_eq!(index.matches(MARK).count(), 1);
        let names: Vec<_> = index.split("\"/graphiql/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert_eq!(names.len(), 4);
        for name in names {
            assert!(Assets::get(name).is_some(), "{name} is not embedded");
        }
    }
}
