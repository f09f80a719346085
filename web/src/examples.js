// The operations that GraphiQL opens as tabs, in the order of a first visit. `npm run check`
// validates them against tests/schema.graphql.
//
// An example is a query and its variables; the tab is titled with the operation's name. The page
// fills the demo account's login and password into the one named SignIn (see page.js).

globalThis.jishiExamples = [
  {
    query: `# 服务器时间与当前用户。所有截止时间都以服务器时间为准；
# 未登录时 viewer 为 null。
# The server's clock, which every deadline is measured
# on, and who is asking: viewer is null until sign-in.
query ServerTime {
  serverTime
  viewer {
    id
    name
  }
}
`,
  },
  {
    query: `# 登录。本页记住返回的 accessToken，之后的请求自动携带；
# 也可在下方 Headers 里自填 Authorization，以它为准。
# 业务拒绝在 userErrors 里返回，不是顶层错误。
# Sign in. This page keeps the accessToken and sends it
# from then on, unless Headers below has an
# Authorization of your own. A refusal is data
# (userErrors), not a top-level error.
mutation SignIn($input: SignInInput!) {
  signIn(input: $input) {
    session {
      accessToken
      refreshToken
    }
    userErrors {
      code
      messageZh
      messageEn
      field
      rule
    }
  }
}
`,
    variables: { input: { login: '', password: '' } },
  },
  {
    query: `# 挂牌项目列表。把 endCursor 填入 after 取下一页；
# 金额是字符串，单位为元。
# Listed projects. For the next page, set after to the
# endCursor. Money is a string, in yuan.
query Listings($first: Int!, $after: String) {
  listings(first: $first, after: $after) {
    totalCount
    pageInfo {
      hasNextPage
      endCursor
    }
    edges {
      node {
        id
        title
        status
        floorPrice
        disclosureEndsAt
      }
    }
  }
}
`,
    variables: { first: 10, after: null },
  },
  {
    query: `# 一场竞价：当前价、下一口最低出价与截止时间。
# One bidding session: where the price stands, the
# least next bid, and when it closes.
query BiddingSession($id: ID!) {
  biddingSession(id: $id) {
    id
    status
    currentPrice
    minimumAmount
    closesAt
    serverTime
  }
}
`,
    variables: { id: 'bidding_01jdd6v4gpe0rvnh8a4c3x9k2m' },
  },
  {
    query: `# 出价。需登录，且该机构已取得竞买资格并交纳保证金；
# 请求头 Idempotency-Key 相同的重试不会重复出价。
# Place a bid. Sign in first; the organization must be
# qualified and its deposit paid. Retries under one
# Idempotency-Key header bid once.
mutation PlaceBid($input: PlaceBidInput!) {
  placeBid(input: $input) {
    bid {
      seq
      amount
    }
    userErrors {
      code
      messageZh
      messageEn
      currentPrice
      minimumAmount
      serverTime
    }
  }
}
`,
    variables: {
      input: {
        sessionId: 'bidding_01jdd6v4gpe0rvnh8a4c3x9k2m',
        organizationId: 'organization_01jdd6t9qxe4mb2r7s5hw8c0yz',
        amount: '1280000.00',
      },
    },
  },
  {
    query: `# 竞价实况。先收到快照，再按 seq 连续推送；
# 断线后把 afterSeq 设为最后收到的 seq 续订。
# Watch a session live: a snapshot, then events with
# consecutive seq. After a lost connection, subscribe
# again with afterSeq at the last seq you saw.
subscription AuctionEvents($sessionId: ID!, $afterSeq: Int) {
  auctionEvents(sessionId: $sessionId, afterSeq: $afterSeq) {
    snapshot {
      status
      seq
      currentPrice
      leadingCode
      minimumAmount
      closesAt
      serverTime
    }
    event {
      seq
      kind
      at
      bidderCode
      amount
      closesAt
    }
    lagged {
      fromSeq
    }
  }
}
`,
    variables: { sessionId: 'bidding_01jdd6v4gpe0rvnh8a4c3x9k2m', afterSeq: null },
  },
];
