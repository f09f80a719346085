//! Somebody who uses the exchange through the API.

use std::sync::{Mutex, PoisonError};

use identity::{Authenticator, STEP_MILLIS};
use kernel::{Instant, Role};
use serde_json::{Value, json};
use tokio::time::{Duration, sleep};

use super::{
    Error, Fields, Result,
    client::{Client, Exchange, Operation},
    timeline::Who,
};
use crate::seed::DEMO_PASSWORD;

/// A token that ends sooner than this is exchanged first.
const MARGIN_SECONDS: i64 = 30;

/// A person with a login. Signs in when first needed and stays signed in.
pub struct Person {
    /// How the story calls this person.
    pub who: Who,
    /// What this person signs in with.
    pub login: String,
    password: String,
    client: Client,
    session: Mutex<Option<Session>>,
    /// Whoever finds the session old renews it alone: the same refresh token twice would end it.
    renewing: tokio::sync::Mutex<()>,
    /// What this person enrolled, or was seeded with.
    authenticator: Mutex<Option<Authenticator>>,
}

#[derive(Clone)]
struct Session {
    access_token: String,
    refresh_token: String,
    expires_at: Instant,
}

/// A refusal by the rules, as told.
#[derive(Clone, Debug)]
pub struct Refused(pub Value);

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = |name: &str| self.0.get(name).and_then(Value::as_str).unwrap_or_default();
        let (zh, rule, accepted) = (text("messageZh"), text("rule"), text("accepted"));
        write!(f, "✗ {} {zh}", text("code"))?;
        match (rule.is_empty(), accepted.is_empty()) {
            (true, true) => Ok(()),
            (false, true) => write!(f, "（{rule}）"),
            (true, false) => write!(f, "（{accepted}）"),
            (false, false) => write!(f, "（{rule}：{accepted}）"),
        }
    }
}

/// One mutation: `verb(input)`, of which the payload's object is wanted as `selection` says.
#[derive(Clone, Copy)]
pub struct Act<'a> {
    /// Such as `placeBid`.
    pub verb: &'a str,
    /// Such as `bid { seq amount }`; empty if only a refusal is expected.
    pub selection: &'a str,
    /// The `Idempotency-Key`.
    pub key: &'a str,
}

impl Act<'_> {
    fn operation(&self, input: Value) -> Operation {
        let Act { verb, selection, key } = self;
        let mut letters = verb.chars();
        let name: String = letters.next().iter().flat_map(|first| first.to_uppercase()).chain(letters).collect();
        let object = if selection.is_empty() { String::new() } else { format!("{selection}\n    ") };
        let query = format!(
            "mutation {name}($input: {name}Input!) {{\n  {verb}(input: $input) {{\n    {object}\
             userErrors {{ code messageZh messageEn field rule accepted currentPrice minimumAmount serverTime }}\n  }}\n}}"
        );
        Operation { query, variables: json!({ "input": input }), key: Some((*key).to_owned()) }
    }
}

impl Person {
    /// Somebody who has signed up.
    #[must_use]
    pub fn new(client: &Client, who: Who, login: impl Into<String>, password: impl Into<String>) -> Person {
        let (login, password, client) = (login.into(), password.into(), client.clone());
        Person {
            who,
            login,
            password,
            client,
            session: Mutex::new(None),
            renewing: tokio::sync::Mutex::default(),
            authenticator: Mutex::new(None),
        }
    }

    /// Somebody of the seeded staff, whose second factor everybody knows.
    #[must_use]
    pub fn seeded(client: &Client, who: Who, login: &str) -> Person {
        let authenticator = Mutex::new(Some(Authenticator::development(login)));
        Person { authenticator, ..Person::new(client, who, login, DEMO_PASSWORD) }
    }

    /// Signs up, and may sign in from then on.
    pub async fn sign_up(&self, name: &str) -> Result<()> {
        let key = fresh_key();
        let act = Act { verb: "signUp", selection: "person { id login }", key: &key };
        let input = json!({ "login": self.login, "password": self.password, "name": name });
        let exchange = self.client.ask(None, act.operation(input)).await?;
        self.done(&act, &exchange).map(|_| ())
    }

    /// Begins a session, with a second factor if this person has one.
    pub async fn sign_in(&self) -> Result<()> {
        let input = |code: Option<String>| json!({ "login": self.login, "password": self.password, "code": code });
        let Some(authenticator) = self.authenticator() else { return self.open("signIn", input(None)).await };
        self.with_code(&authenticator, async |code| self.open("signIn", input(Some(code))).await).await
    }

    /// Enrols a second factor if one of the roles takes it and there is none yet. It counts in this session already.
    pub async fn take_up(&self, roles: &[&str]) -> Result<()> {
        let takes_one = |role: &&str| role.parse().is_ok_and(Role::needs_second_factor);
        if !roles.iter().any(takes_one) || self.authenticator().is_some() {
            return Ok(());
        }
        let enrolment =
            self.act("enrolSecondFactor", "enrolment { secret uri }", json!({ "password": self.password })).await?;
        let secret = enrolment.text_at("/secret")?;
        let authenticator = Authenticator::parse(secret).ok_or_else(|| Error::Line("no secret".into()))?;
        let confirm = async |code| {
            self.act("confirmSecondFactor", "secondFactor { __typename }", json!({ "code": code })).await.map(|_| ())
        };
        self.with_code(&authenticator, confirm).await?;
        *self.authenticator.lock().unwrap_or_else(PoisonError::into_inner) = Some(authenticator);
        Ok(())
    }

    fn authenticator(&self) -> Option<Authenticator> {
        self.authenticator.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Does what takes a code. Each works once, so whoever acted as this person before may have used the present one:
    /// the oldest that still counts comes first, and after the newest only the next step helps.
    async fn with_code(&self, authenticator: &Authenticator, act: impl AsyncFn(String) -> Result<()>) -> Result<()> {
        for late in [-1, 0, 1] {
            let at = self.server_time().await?.plus_millis(late * STEP_MILLIS);
            match act(authenticator.code(at)).await {
                Err(error) if error.to_string().contains("BAD_CREDENTIALS") => {}
                done => return done,
            }
        }
        let now = self.server_time().await?;
        let left = STEP_MILLIS - now.0.rem_euclid(STEP_MILLIS);
        sleep(Duration::from_millis(u64::try_from(left).unwrap_or_default())).await;
        act(authenticator.code(now.plus_millis(left + STEP_MILLIS))).await
    }

    async fn server_time(&self) -> Result<Instant> {
        let asked = Operation { query: "{ serverTime }".into(), variables: json!({}), key: None };
        self.client.ask(None, asked).await?.data()?.instant_at("/serverTime")
    }

    /// Carries the session on, as its access token lives ten minutes of the exchange's time; a session that is over
    /// is begun anew.
    pub async fn refresh_login(&self) -> Result<()> {
        let refresh_token = self.session().map(|session| session.refresh_token);
        let Some(refresh_token) = refresh_token else { return self.sign_in().await };
        match self.open("refreshSession", json!({ "refreshToken": refresh_token })).await {
            Ok(()) => Ok(()),
            Err(_) => self.sign_in().await,
        }
    }

    async fn open(&self, verb: &str, input: Value) -> Result<()> {
        let selection = "session { accessToken accessExpiresAt refreshToken refreshExpiresAt personId }";
        // These two keep no idempotency record, so the key says nothing to the exchange: it lets the client ask again.
        let key = fresh_key();
        let act = Act { verb, selection, key: &key };
        let exchange = self.client.ask(None, act.operation(input)).await?;
        let session = self.done(&act, &exchange)?;
        let session = Session {
            access_token: session.text_at("/accessToken")?.to_owned(),
            refresh_token: session.text_at("/refreshToken")?.to_owned(),
            expires_at: session.instant_at("/accessExpiresAt")?,
        };
        *self.session.lock().unwrap_or_else(PoisonError::into_inner) = Some(session);
        Ok(())
    }

    fn session(&self) -> Option<Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The access token, good for the next request.
    pub async fn token(&self) -> Result<String> {
        let _alone = self.renewing.lock().await;
        let good_until = self.client.now().plus_seconds(MARGIN_SECONDS);
        if self.session().is_none_or(|session| session.expires_at <= good_until) {
            self.refresh_login().await?;
        }
        self.session().map(|session| session.access_token).ok_or_else(|| Error::Line("no session".into()))
    }

    /// Whether the token of the last sign-in is still believed.
    pub async fn is_believed(&self) -> Result<bool> {
        let token = self.session().map(|session| session.access_token);
        let operation = Operation { query: "{ viewer { id } }".into(), variables: json!({}), key: None };
        let exchange = self.client.ask(token.as_deref(), operation).await?;
        match exchange.answer.pointer("/errors/0/extensions/code").and_then(Value::as_str) {
            Some("UNAUTHENTICATED") => Ok(false),
            _ => exchange.data().map(|read| read.pointer("/viewer/id").is_some()),
        }
    }

    /// Says one operation.
    pub async fn call(&self, operation: Operation) -> Result<Exchange> {
        self.client.ask(Some(&self.token().await?), operation).await
    }

    /// Does something and gets the object.
    pub async fn act(&self, verb: &str, selection: &str, input: Value) -> Result<Value> {
        let key = fresh_key();
        self.act_under(Act { verb, selection, key: &key }, input).await
    }

    /// Does something under a key of the caller's.
    pub async fn act_under(&self, act: Act<'_>, input: Value) -> Result<Value> {
        let exchange = self.call(act.operation(input)).await?;
        self.done(&act, &exchange)
    }

    /// Tries something that must be refused under `code`.
    pub async fn refused(&self, verb: &str, input: Value, code: &str) -> Result<Refused> {
        let key = fresh_key();
        let act = Act { verb, selection: "", key: &key };
        let exchange = self.call(act.operation(input)).await?;
        self.record(&exchange);
        let refusal = exchange.answer.pointer(&format!("/data/{verb}/userErrors/0"));
        match refusal {
            Some(refusal) if refusal.get("code").and_then(Value::as_str) == Some(code) => Ok(Refused(refusal.clone())),
            _ => Err(exchange.but(&format!("the refusal {code}"))),
        }
    }

    /// Asks for something worth writing down.
    pub async fn read(&self, query: &str, variables: Value) -> Result<Value> {
        let exchange = self.call(Operation { query: query.to_owned(), variables, key: None }).await?;
        self.record(&exchange);
        exchange.data()
    }

    /// Asks for something again and again.
    pub async fn glance(&self, query: &str, variables: Value) -> Result<Value> {
        self.call(Operation { query: query.to_owned(), variables, key: None }).await?.data()
    }

    /// The object of a mutation that was not refused.
    fn done(&self, act: &Act<'_>, exchange: &Exchange) -> Result<Value> {
        self.record(exchange);
        let object = act.selection.split(' ').next().unwrap_or_default();
        let payload = exchange.answer.pointer(&format!("/data/{}", act.verb));
        match payload.and_then(|payload| payload.get(object)) {
            Some(object) if !object.is_null() => Ok(object.clone()),
            _ => Err(exchange.but(&format!("{} to yield {object}", act.verb))),
        }
    }

    fn record(&self, exchange: &Exchange) {
        if let Some(transcript) = self.client.transcript() {
            transcript.call(self.who, exchange);
        }
    }
}

/// A key that nobody used before.
pub fn fresh_key() -> String {
    kernel::fresh_uuid().to_string()
}
