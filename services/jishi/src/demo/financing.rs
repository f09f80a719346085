//! A project that looks for money, told through the public API alone: the teaser is for everybody, the details for
//! those who were let in under a non-disclosure agreement.

use serde_json::{Value, json};

use super::{
    Error, Fields, Result,
    cast::{House, Plan, Staff},
    check::Check,
    stage::Stage,
    timeline::{SPECTATOR, Who},
};

const PROJECT: Plan = Plan {
    who: Who { zh: "融资企业", en: "project" },
    name: "成都锦江新材料有限公司",
    kind: "ENTERPRISE",
    authority: "91",
    roles: &["ADMINISTRATOR", "BROKER"],
};

const fn investor(zh: &'static str, en: &'static str, name: &'static str) -> Plan {
    Plan { who: Who { zh, en }, name, kind: "INVESTOR", authority: "91", roles: &["ADMINISTRATOR", "INVESTOR"] }
}

const PLANS: [Plan; 3] = [
    PROJECT,
    investor("投资方一", "investor 1", "蓉城成果转化股权投资基金"),
    investor("投资方二", "investor 2", "江岸创业投资有限公司"),
];

const DETAILS: &str = "近三年财务数据、核心工艺参数与股权结构。";
const AMOUNT: &str = "8000000.00";
const INTEREST: &str = "interest { id status availableTransitions declineReasons answerNote }";

/// What came of the matchmaking.
pub struct Outcome {
    /// The project.
    pub project_id: String,
    /// The interest that was accepted.
    pub interest_id: String,
    /// What had to hold.
    pub checks: Vec<Check>,
}

/// Plays the whole matchmaking.
pub async fn play(stage: &Stage<'_>) -> Result<Outcome> {
    stage.timeline.chapter("融资对接", "financing");
    let staff = Staff::gather(stage).await?;
    let houses: Result<[House; 3], _> = staff.admit(stage, &PLANS).await?.try_into();
    let [owner, first, second] = houses.map_err(|_| Error::Line("three organizations come in".into()))?;
    let project_id = publish(stage, &staff, &owner).await?;
    let investor_id = enter(stage, &staff, &first, Some(&project_id)).await?;
    let other_id = enter(stage, &staff, &second, None).await?;
    let mut checks = vec![suggested(stage, &first, &investor_id, &project_id).await?];
    let before = details(&first, &project_id).await?;
    checks.push(Check::equal("未获接受前看不到详情", "no details before acceptance", before, Value::Null));
    let anonymous = teaser(stage, &project_id).await?;
    checks.push(Check::equal("匿名者只见摘要", "strangers see the teaser only", anonymous, true));
    let interest_id = accepted(stage, &owner, &first, (&project_id, &investor_id)).await?;
    let after = details(&first, &project_id).await?;
    let seen = after.as_str().unwrap_or("nothing").to_owned();
    stage.tell(first.person.who, "阅读详情", "reads the details", &seen);
    checks.push(Check::equal("接受后可见详情", "details after acceptance", seen, DETAILS));
    declined(stage, &owner, &second, (&project_id, &other_id)).await?;
    let refused = details(&second, &project_id).await?;
    checks.push(Check::equal("被婉拒者看不到详情", "no details for the declined", refused, Value::Null));
    Ok(Outcome { project_id, interest_id, checks })
}

async fn publish(stage: &Stage<'_>, staff: &Staff, owner: &House) -> Result<String> {
    let input = json!({
        "organizationId": owner.id,
        "title": "固态电池正极材料产业化",
        "teaser": "受让高校专利后建设年产五百吨产线，寻求股权融资。",
        "details": DETAILS,
        "kind": "EQUITY",
        "amount": AMOUNT,
        "field": "NEW_MATERIALS",
        "stage": "PILOT",
        "region": "510100",
    });
    let project = owner.person.act("createFinancingProject", "financingProject { id status }", input).await?;
    let project_id = project.text_at("/id")?.to_owned();
    stage.tell(owner.person.who, "起草融资项目", "drafts a financing project", format!("{AMOUNT} 元，股权"));
    let input = json!({ "financingProjectId": project_id });
    let open = staff.reviewer.act("publishFinancingProject", "financingProject { id status }", input).await?;
    stage.tell(staff.reviewer.who, "审核并公开摘要", "reviews and publishes the teaser", open.text_at("/status")?);
    Ok(project_id)
}

/// An organization registers as an investor and is verified; before that its interest is refused.
async fn enter(stage: &Stage<'_>, staff: &Staff, house: &House, eager_for: Option<&str>) -> Result<String> {
    let input = json!({
        "organizationId": house.id,
        "fields": ["NEW_MATERIALS", "NEW_ENERGY"],
        "stages": ["PILOT", "MATURE"],
        "leastAmount": "5000000.00",
        "mostAmount": "20000000.00",
        "regions": ["51"],
    });
    let investor = house.person.act("registerInvestor", "investor { id status }", input).await?;
    let investor_id = investor.text_at("/id")?.to_owned();
    stage.tell(house.person.who, "登记为投资方", "registers as an investor", investor.text_at("/status")?);
    if let Some(project_id) = eager_for {
        let input = json!({ "financingProjectId": project_id, "investorId": investor_id, "acceptNda": true });
        let refused = house.person.refused("expressInterest", input, "INVESTOR_NOT_VERIFIED").await?;
        stage.tell(
            house.person.who,
            "未经核验即表达意向",
            "expresses interest before verification",
            refused.to_string(),
        );
    }
    let evidence = "合格投资者证明材料齐备 proof of qualification";
    let input = json!({ "investorId": investor_id, "approve": true, "evidence": evidence });
    let verified = staff.reviewer.act("verifyInvestor", "investor { id status }", input).await?;
    stage.tell(staff.reviewer.who, "核验投资方资格", "verifies the investor", verified.text_at("/status")?);
    Ok(investor_id)
}

/// The project is among the investor's suggestions, with the reasons.
async fn suggested(stage: &Stage<'_>, investor: &House, investor_id: &str, project_id: &str) -> Result<Check> {
    let query = "query Matches($id: ID!) { financingMatches(investorId: $id, first: 100) { financingProjectId score reasons } }";
    let read = investor.person.read(query, json!({ "id": investor_id })).await?;
    let matches = read.at("/financingMatches")?.as_array().cloned().unwrap_or_default();
    let ours = matches.iter().find(|suggestion| suggestion.get("financingProjectId") == Some(&json!(project_id)));
    let score = ours.and_then(|suggestion| suggestion.get("score")?.as_i64()).unwrap_or_default();
    let reasons = ours.and_then(|suggestion| suggestion.get("reasons")?.as_array().cloned()).unwrap_or_default();
    let reasons: Vec<&str> = reasons.iter().filter_map(Value::as_str).collect();
    let found = format!("{score} 分：{}", reasons.join(" "));
    stage.tell(investor.person.who, "查看推荐项目及理由", "reads the suggestions and their reasons", &found);
    Ok(Check {
        zh: "推荐附理由",
        en: "the suggestion tells its reasons",
        passed: score > 0 && reasons.len() == 4,
        found,
    })
}

async fn details(house: &House, project_id: &str) -> Result<Value> {
    let query = "query Project($id: ID!) { financingProject(id: $id) { id title teaser details } }";
    let read = house.person.read(query, json!({ "id": project_id })).await?;
    Ok(read.at("/financingProject/details")?.clone())
}

/// Whether a stranger sees the teaser, and no details.
async fn teaser(stage: &Stage<'_>, project_id: &str) -> Result<bool> {
    let query = "query Project($id: ID!) { financingProject(id: $id) { teaser details } }".to_owned();
    let operation = super::client::Operation { query, variables: json!({ "id": project_id }), key: None };
    let read = stage.client.ask(None, operation).await?.data()?;
    let teaser = read.text_at("/financingProject/teaser")?;
    stage.tell(SPECTATOR, "匿名浏览，只见摘要", "reads without login: the teaser only", teaser);
    Ok(!teaser.is_empty() && read.at("/financingProject/details")?.is_null())
}

/// Interest without the agreement cannot be accepted; with it, it can.
async fn accepted(stage: &Stage<'_>, owner: &House, investor: &House, (project, id): (&str, &str)) -> Result<String> {
    let express = |accept: bool| json!({ "financingProjectId": project, "investorId": id, "acceptNda": accept });
    let expressed = investor.person.act("expressInterest", INTEREST, express(false)).await?;
    let interest_id = expressed.text_at("/id")?.to_owned();
    let status = expressed.text_at("/status")?;
    stage.tell(investor.person.who, "表达意向，未接受保密协议", "expresses interest without the agreement", status);
    let answer = json!({ "interestId": interest_id, "accept": true });
    let refused = owner.person.refused("answerInterest", answer.clone(), "NDA_REQUIRED").await?;
    stage.tell(owner.person.who, "接受意向", "accepts the interest", refused.to_string());
    let agreed = investor.person.act("expressInterest", INTEREST, express(true)).await?;
    stage.tell(investor.person.who, "接受保密协议", "accepts the agreement", agreed.text_at("/status")?);
    let accepted = owner.person.act("answerInterest", INTEREST, answer).await?;
    stage.tell(owner.person.who, "再次接受意向", "accepts the interest again", accepted.text_at("/status")?);
    Ok(interest_id)
}

/// Declining takes reasons.
async fn declined(stage: &Stage<'_>, owner: &House, investor: &House, (project, id): (&str, &str)) -> Result<()> {
    let input = json!({ "financingProjectId": project, "investorId": id, "acceptNda": true });
    let expressed = investor.person.act("expressInterest", INTEREST, input).await?;
    stage.tell(investor.person.who, "表达意向", "expresses interest", expressed.text_at("/status")?);
    let interest_id = expressed.text_at("/id")?;
    let silent = json!({ "interestId": interest_id, "accept": false });
    let refused = owner.person.refused("answerInterest", silent, "DECLINE_REASON_REQUIRED").await?;
    stage.tell(owner.person.who, "婉拒而不说明原因", "declines without a reason", refused.to_string());
    let reasons = json!(["ALREADY_FUNDED", "TERMS"]);
    let note = "本轮额度已满 the round is full";
    let input = json!({ "interestId": interest_id, "accept": false, "declineReasons": reasons, "note": note });
    let declined = owner.person.act("answerInterest", INTEREST, input).await?;
    let reasons = declined.at("/declineReasons")?.as_array().cloned().unwrap_or_default();
    let reasons: Vec<&str> = reasons.iter().filter_map(Value::as_str).collect();
    let result = format!("{}：{}", declined.text_at("/status")?, reasons.join(" "));
    stage.tell(owner.person.who, "说明原因后婉拒", "declines with reasons", result);
    Ok(())
}
