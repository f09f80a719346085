// GraphiQL over our endpoints, with the examples as tabs and the session of whoever signed in.
//
// The gateway writes the context into the page: the two endpoints and, in development only, the
// demo accounts. The access token lives in sessionStorage, so it ends with the browser tab.

(() => {
  const context = JSON.parse(document.getElementById('jishi-context').textContent);
  const examples = globalThis.jishiExamples;
  const signInQuery = examples.find(({ query }) => query.includes('mutation SignIn')).query;
  const element = (id) => document.getElementById(id);
  const session = {
    get token() { return sessionStorage.getItem('jishi.token'); },
    get login() { return sessionStorage.getItem('jishi.login'); },
    open(token, login) {
      sessionStorage.setItem('jishi.token', token);
      sessionStorage.setItem('jishi.login', login ?? '');
      say(`✓ ${session.login}`);
    },
    close(message = '') {
      sessionStorage.removeItem('jishi.token');
      sessionStorage.removeItem('jishi.login');
      say(message, message !== '');
    },
  };

  /** Shows a message in the bar, and in its buttons who is signed in. */
  function say(message, bad = false) {
    element('status').textContent = message;
    element('status').classList.toggle('bad', bad);
    element('sign-out').hidden = !session.token;
    for (const button of element('accounts').querySelectorAll('button')) {
      button.setAttribute('aria-pressed', String(session.token !== null && button.dataset.login === session.login));
    }
  }

  /** The headers with our token, unless the headers editor names its own Authorization. */
  function authorized(headers = {}) {
    const { authorization, Authorization = authorization, ...others } = headers;
    const bearer = Authorization ?? (session.token ? `Bearer ${session.token}` : undefined);
    return bearer ? { ...others, Authorization: bearer } : others;
  }

  // A query or mutation is one POST. A subscription opens graphql-transport-ws, and its
  // connection_init carries the same headers, so wsConnectionParams needs no second place.
  const send = GraphiQL.createFetcher({
    url: context.endpoint,
    subscriptionUrl: new URL(context.subscriptionEndpoint, location.href.replace(/^http/, 'ws')).href,
    enableIncrementalDelivery: false,
  });

  /** Sends an operation with the session, and follows what the answer says about the session. */
  async function fetcher(request, options) {
    const answer = await send(request, { ...options, headers: authorized(options?.headers) });
    const opened = Object.values(answer?.data ?? {}).find((payload) => payload?.session?.accessToken);
    if (opened) {
      session.open(opened.session.accessToken, request.variables?.input?.login);
    } else if (session.token && answer?.errors?.some((error) => error.extensions?.code === 'UNAUTHENTICATED')) {
      session.close('会话已失效，请重新登录 · the session has ended, sign in again');
    }
    return answer;
  }

  /** The codes of a secret (RFC 6238) that count at the exchange's time, the oldest first. */
  async function codes(secret) {
    const { data } = await send({ query: '{ serverTime }' });
    const bits = [...secret].map((c) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(c).toString(2).padStart(5, '0'));
    const bytes = Uint8Array.from(bits.join('').match(/.{8}/g), (byte) => parseInt(byte, 2));
    const key = await crypto.subtle.importKey('raw', bytes, { name: 'HMAC', hash: 'SHA-1' }, false, ['sign']);
    return Promise.all([-1, 0, 1].map(async (late) => {
      const step = new DataView(new ArrayBuffer(8));
      step.setBigUint64(0, BigInt(Math.floor(Date.parse(data.serverTime) / 30000) + late));
      const mac = new DataView(await crypto.subtle.sign('HMAC', key, step));
      const number = mac.getUint32(mac.getUint8(19) & 15) & 0x7fffffff;
      return String(number % 1000000).padStart(6, '0');
    }));
  }

  /** Signs a demo account in and says in the bar how that went. A code works once: a used one gives way to the next. */
  async function signIn({ login, password, secret }, button) {
    button.disabled = true;
    session.close();
    try {
      let refusal;
      for (const code of secret ? await codes(secret) : [undefined]) {
        const variables = { input: { login, password, code } };
        const answer = await fetcher({ query: signInQuery, operationName: 'SignIn', variables });
        refusal = answer.data?.signIn?.userErrors?.[0] ?? answer.errors?.[0];
        if (refusal?.code !== 'BAD_CREDENTIALS') break;
      }
      if (refusal) say([refusal.messageZh, refusal.messageEn ?? refusal.message].filter(Boolean).join(' · '), true);
    } catch (error) {
      say(`登录失败 · sign-in failed: ${error.message}`, true);
    } finally {
      button.disabled = false;
    }
  }

  for (const account of context.demoAccounts) {
    const button = document.createElement('button');
    const login = document.createElement('code');
    const english = document.createElement('span');
    login.textContent = account.login;
    english.textContent = account.roleEn;
    english.lang = 'en';
    button.type = 'button';
    button.dataset.login = account.login;
    const code = account.secret ? ` / jishi code ${account.login}` : '';
    button.title = `点击登录 · click to sign in: ${account.login} / ${account.password}${code}`;
    button.append(login, ` ${account.roleZh} `, english);
    button.addEventListener('click', () => signIn(account, button));
    element('accounts').append(button);
  }
  const [shared, ...others] = new Set(context.demoAccounts.map(({ password }) => password));
  if (shared !== undefined && others.length === 0) {
    const password = document.createElement('code');
    password.textContent = shared;
    element('accounts').firstElementChild.append(' · 密码 ', password);
  }
  element('accounts').hidden = context.demoAccounts.length === 0;
  element('sign-out').addEventListener('click', () => session.close());
  element('reset').addEventListener('click', () => {
    for (const key of Object.keys(localStorage)) {
      if (key.startsWith('graphiql:')) localStorage.removeItem(key);
    }
    location.reload();
  });
  say(session.token ? `✓ ${session.login}` : '');

  const first = context.demoAccounts.find(({ secret }) => !secret);
  const defaultTabs = examples.map(({ query, variables }) => {
    const filled = query === signInQuery && first
      ? { input: { login: first.login, password: first.password } }
      : variables;
    return { query, variables: filled && JSON.stringify(filled, null, 2) };
  });
  ReactDOM.createRoot(element('graphiql')).render(React.createElement(GraphiQL, {
    fetcher,
    defaultTabs,
    isHeadersEditorEnabled: true,
    defaultEditorToolsVisibility: true,
  }));
})();
