//! The flat list of named refusals. A code, once published, keeps its meaning.

use strum::{EnumString, IntoStaticStr};

macro_rules! codes {
    ($($name:ident $zh:literal $en:literal;)*) => {
        /// Why the exchange refused. Stable: clients may branch on it.
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, Hash, async_graphql::Enum, EnumString, IntoStaticStr, strum::EnumIter,
        )]
        #[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
        pub enum ErrorCode {
            $(#[doc = $en] $name,)*
        }

        impl ErrorCode {
            /// The default message in Chinese and English.
            #[must_use]
            pub fn messages(self) -> (&'static str, &'static str) {
                match self { $(Self::$name => ($zh, $en),)* }
            }
        }
    };
}

codes! {
    // Any operation.
    Unauthenticated "请先登录。" "Sign in first.";
    Forbidden "当前身份无权执行此操作。" "Your role does not permit this.";
    NotFound "没有这个对象。" "There is no such object.";
    InvalidId "编号格式不正确或类型不符。" "The id is malformed or of another kind.";
    InvalidInput "输入不符合要求。" "The input is not acceptable.";
    Required "此项必填。" "This field is required.";
    TextTooLong "文字过长。" "The text is too long.";
    TextUnsafe "文字含有不允许的控制字符。" "The text holds control characters that are not allowed.";
    AmountOutOfRange "金额超出范围。" "The amount is out of range.";
    IllegalTransition "当前状态不允许此操作。" "The present status does not allow this.";
    IdempotencyConflict "同一幂等键已用于另一请求。" "This idempotency key was used for another request.";
    SamePerson "须由另一人办理。" "Another person must do this.";
    AlreadyExists "对象已存在。" "It exists already.";
    RecordAltered "所依据的记录与本所留存的不一致，未予办理，管理员已获知。" "A record that this rests on is not as the exchange left it; nothing was done, and the administrator was told.";
    Unavailable "服务暂不可用；结果未知时请以同一幂等键重试。" "Unavailable for now; if the outcome is unknown, retry under the same key.";
    Internal "系统内部错误。" "An internal fault.";

    // Identity.
    LoginTaken "该登录名已被使用。" "This login is taken.";
    BadCredentials "登录名、密码或验证码不正确。" "The login, the password or the code is wrong.";
    CodeRequired "请输入验证码。" "The code of the second factor is required.";
    WeakPassword "密码强度不足。" "The password is too weak.";
    SessionEnded "会话已结束，请重新登录。" "The session has ended; sign in again.";
    TooManyAttempts "尝试次数过多，请稍后再试。" "Too many attempts; try again later.";
    InvalidUsci "统一社会信用代码校验不通过。" "The unified social credit code fails its checksum.";
    SecondFactorRequired "此角色须以第二因素登录。" "This role takes a sign-in with a second factor.";
    InvalidRegion "行政区划代码不正确。" "The region is no administrative division code.";
    InvalidIndustry "行业代码不正确。" "The industry is no code of the classification.";
    LastAdministrator "最后一名管理员不能卸任。" "The last administrator stays.";
    OrganizationNotVerified "机构尚未通过审核。" "The organization is not verified.";
    BusinessUnderWay "尚有未了结的业务。" "There is business that has not ended.";

    // Brokerage.
    NotPractising "经纪人证书无效或已过期。" "The broker's credential is not certified or not in date.";
    OwnMandate "委托方与经纪机构不得为同一机构。" "An organization may not give a mandate to itself.";

    // Catalog.
    FloorNotPositive "转让底价必须大于零。" "The floor price must be above zero.";
    DepositAboveCap "保证金超过上限。" "The deposit is above the cap.";
    PeriodTooShort "披露期短于最低要求。" "The disclosure period is shorter than the minimum.";
    IncrementNotPositive "加价幅度必须大于零。" "The bid increment must be above zero.";
    SecretNotAllowed "涉密成果不得上平台。" "Secret results may not enter the platform.";
    ListingNotDisclosed "该项目不在披露期内。" "The listing is not in its disclosure period.";
    DisclosureRunning "披露期尚未结束。" "The disclosure period has not ended.";
    AlreadyApplied "贵机构已登记受让意向。" "Your organization has applied already.";
    OwnListing "转让方不得受让自己的项目。" "A transferor may not acquire its own listing.";
    BarredAsDefaulter "曾就该标的违约，不得再次受让。" "It defaulted on this lot and may not apply for it again.";
    ConflictOfInterest "存在利益冲突，不得参与受让。" "A conflict of interest bars this from acquiring it.";
    NoConflict "没有经确认的利益冲突。" "There is no confirmed conflict of interest.";
    OutsideCalendar "超出已加载的工作日历。" "Outside the loaded working-day calendar.";

    // Money.
    DuplicateReceipt "该银行流水号已登记。" "This bank reference is recorded already.";
    InsufficientFunds "可用余额不足。" "The available balance is not enough.";
    DepositNotDue "当前无需缴纳保证金。" "No deposit is due now.";
    DepositPaid "保证金已缴纳。" "The deposit is paid already.";
    AlreadySettled "该交易已结算。" "The deal is settled already.";
    AlreadyDistributed "该罚没保证金已分配。" "The forfeited deposit is given out already.";
    ContractNotRegistered "合同尚未登记。" "The contract is not registered yet.";

    // Bidding.
    TooFewBidders "竞买人不足两名。" "Fewer than two eligible bidders.";
    NotSoleBidder "并非唯一竞买人。" "There is not exactly one eligible bidder.";
    SessionNotOpen "竞价尚未开始。" "Bidding has not begun.";
    SessionClosed "竞价已结束。" "Bidding has ended.";
    NotEligible "没有竞买资格。" "Not an eligible bidder.";
    DepositInsufficient "未缴足保证金。" "The deposit is not held.";
    BelowStart "低于起始价。" "Below the starting price.";
    BelowFloor "低于转让底价。" "Below the floor price.";
    BelowMinIncrement "低于最低加价幅度。" "Below the minimum increment.";
    NotStepMultiple "加价不是加价幅度的整数倍。" "Not a multiple of the bid increment.";
    OverMaxMultiple "单次加价超过上限。" "Above the largest single raise.";
    AlreadyLeading "您已是最高报价。" "You lead already.";
    OutOfOrder "现价已变化，请重新报价。" "The price has moved; bid again.";
    PeriodOutOfRange "时长超出允许范围。" "The period is outside the allowed range.";
    StartInPast "开始时间已过。" "The start lies in the past.";
    AlreadyScheduled "该项目已安排竞价。" "Bidding is scheduled already.";
    SessionPaused "竞价已暂停。" "Bidding is paused.";
    StartPriceTaken "起始价已被应价，仅首次报价可等于起始价。" "The starting price is taken; only the first bid may equal it.";
    NoPreemption "没有经确认的优先购买权。" "There is no confirmed preemption right.";
    PreemptionQuota "优先购买权行使次数已用完。" "The preemption right was used as often as announced.";
    NotContinuing "询问期内未表示继续竞价。" "It did not say in the inquiry that it goes on.";
    NotInInquiry "当前不在询问期。" "There is no inquiry now.";
    NoValidBid "尚无有效报价。" "It has made no valid bid.";
    NoOffer "当前没有向优先购买权人征询。" "Nothing is offered to holders of preemption rights now.";
    AlreadyAnswered "已作答复。" "It has answered already.";
    ProxyNotAllowed "公告未允许委托最高价。" "The notice allows no hidden maximum.";
    WithdrawalNotAllowed "公告未允许撤回报价，或已进入限时竞价。" "The notice allows no withdrawal, or the timed period has begun.";
    WarningDue "落槌前须先提示。" "The hammer takes a fair warning first.";
    NotLeading "当前不是最高报价人。" "It does not lead.";
    ModeMismatch "该竞价方式不接受此操作。" "This way of bidding takes no such command.";
    WrongRound "轮次不符。" "Another round is under way.";
    BadEnvelope "密封报价格式不正确。" "This is no envelope of a sealed bid.";
    NoTrustee "没有这位密钥保管人。" "No trustee of this round has that name.";
    FalseShare "所交密钥份额与公布的摘要不符。" "The share is not the one whose digest was published.";
    TermsContradict "竞价条款相互矛盾。" "The terms of bidding contradict each other.";
    NoPaddle "没有这个号牌。" "There is no such paddle.";
    PaddleTaken "该号牌已发出。" "This paddle is given out already.";
    OutOfSequence "序号不连续。" "The numbers are not in sequence.";
    BadSignature "签名不符。" "The signature does not fit.";
    ReserveBelowFloor "保留价不得低于转让底价。" "The reserve price may not be below the floor price.";
    ConsortiumNotAllowed "公告未允许联合受让。" "The notice allows no consortium.";
    ConsentMissing "联合受让成员尚未全部同意。" "Not every member of the consortium has consented.";
    ExtensionsUsedUp "延牌次数已用完。" "The disclosure was extended as often as it may be.";
    PriceCutTooDeep "降价幅度超过上限，须有批准文件。" "The price cut is too deep without an approval document.";

    // Contract.
    DealCancelled "该交易因违约已撤销。" "The deal is cancelled: its winner defaulted.";
    DocumentChanged "合同文本已变化，请核对后重新签署。" "The document is not the one you saw.";
    AlreadySigned "贵方已签署。" "Your side has signed already.";
    ContractNotSigned "合同尚未由双方签署。" "The contract is not signed by both parties.";
    TechnicalAmountAboveContract "技术交易额不得超过合同成交额。" "The technical amount may not exceed the contract amount.";

    // Financing.
    InvestorNotVerified "投资方尚未通过审核。" "The investor is not verified.";
    NdaRequired "须先接受保密协议。" "The non-disclosure agreement must be accepted first.";
    DeclineReasonRequired "拒绝须说明原因。" "Declining takes at least one reason.";
    OwnProject "不得对本机构的项目表达意向。" "An organization may not express interest in its own project.";
}

#[cfg(test)]
mod tests {
    use super::*;
    use strum::IntoEnumIterator;

    #[test]
    fn every_code_speaks_both_languages_and_reads_back() {
        for code in ErrorCode::iter() {
            let (zh, en) = code.messages();
            assert!(zh.ends_with('。') && en.ends_with('.'), "{code:?}");
            let name: &'static str = code.into();
            assert_eq!(name.parse(), Ok(code));
        }
    }
}
