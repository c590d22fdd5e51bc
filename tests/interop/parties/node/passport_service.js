"use strict";
// Services by passport-saml, without a web framework: the strategy is called as passport calls it.
// Argument: a folder with own.key, own.crt, services.json ([{port, origin, entityId, encrypts}]) and, from the
// first request on, broker.json ({sso, slo, certificates}).

const crypto = require("crypto");
const fs = require("fs");
const http = require("http");
const path = require("path");
const { Strategy } = require("@node-saml/passport-saml");

const PERSISTENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent";
const read = (name) => fs.readFileSync(path.join(process.argv[2], name), "utf8");
const key = read("own.key");
const certificate = read("own.crt");

// The request ids that wait for their answers: in reality a shared cache.
class Waiting {
  constructor() {
    this.kept = new Map();
  }

  async saveAsync(id, value) {
    this.kept.set(id, value);
    return { value, createdAt: Date.now() };
  }

  async getAsync(id) {
    return this.kept.get(id) ?? null;
  }

  async removeAsync(id) {
    return this.kept.delete(id) ? id : null;
  }
}

class Service {
  constructor({ port, origin, entityId, encrypts }) {
    Object.assign(this, { port, origin, entityId, encrypts });
    this.sessions = new Map(); // by cookie
    this.waiting = new Waiting();
  }

  // RequestedAuthnContext is the product's default; SHA-1 and the NameID format emailAddress would be, too.
  strategy(more = {}) {
    const broker = fs.existsSync(path.join(process.argv[2], "broker.json")) ? JSON.parse(read("broker.json")) : {};
    const options = {
      issuer: this.entityId,
      callbackUrl: `${this.origin}/acs`,
      logoutCallbackUrl: `${this.origin}/slo`,
      entryPoint: broker.sso,
      logoutUrl: broker.slo,
      idpCert: broker.certificates ?? certificate,
      privateKey: key,
      decryptionPvk: this.encrypts ? key : undefined,
      signatureAlgorithm: "sha256",
      digestAlgorithm: "sha256",
      identifierFormat: PERSISTENT,
      // Not "always", which looks for it in a LogoutResponse where only a Response has it.
      validateInResponseTo: "ifPresent",
      cacheProvider: this.waiting,
      ...more,
    };
    const known = (profile, done) => done(null, profile ?? false);
    const ended = (profile, done) => done(null, this.find(profile));
    return new Strategy(options, known, ended);
  }

  find(profile) {
    const same = (each) => each.nameID === profile.nameID && each.sessionIndex === profile.sessionIndex;
    return [...this.sessions.values()].find(same);
  }

  metadata() {
    return this.strategy().generateServiceProviderMetadata(this.encrypts ? certificate : null, certificate);
  }

  // Let the strategy answer a request, as passport does for it.
  authenticate(request, answer, more) {
    const strategy = Object.create(this.strategy(more));
    strategy.success = (user) => this.enter(user, request, answer);
    strategy.fail = () => tell(answer, { STATUS: "NoPassive" });
    strategy.redirect = (url) => away(answer, url);
    strategy.pass = () => tell(answer, { STATUS: "Success" });
    strategy.error = (error) => tell(answer, { STATUS: error.message });
    request.res = { send: (page) => show(answer, page) };
    strategy.authenticate(request, {});
  }

  enter(user, request, answer) {
    const session = crypto.randomBytes(16).toString("hex");
    this.sessions.set(session, user);
    answer.setHeader("Set-Cookie", `passport=${session}; HttpOnly`);
    away(answer, request.body.RelayState);
  }

  protected(request, answer) {
    if (request.user && request.url === "/protected/") {
      const { NAME_ID, ...values } = { ...request.user.attributes, NAME_ID: request.user.nameID };
      tell(answer, { ...values, NAME_ID });
      return;
    }
    const { force, passive, binding, any } = request.query;
    request.query = { RelayState: `${this.origin}/protected/` };
    const posts = binding ? { authnRequestBinding: "HTTP-POST", skipRequestCompression: binding === "post" } : {};
    const flags = { forceAuthn: force !== undefined, passive: passive !== undefined };
    this.authenticate(request, answer, { ...flags, disableRequestedAuthnContext: any !== undefined, ...posts });
  }

  logout(request, answer) {
    this.sessions.delete(request.session);
    this.strategy().logout(request, (error, url) => (error ? tell(answer, { STATUS: error.message }) : away(answer, url)));
  }

  async handle(request, answer) {
    const address = new URL(request.url, this.origin);
    const cookies = new URLSearchParams((request.headers.cookie ?? "").replaceAll("; ", "&"));
    request.query = Object.fromEntries(address.searchParams);
    request.body = Object.fromEntries(new URLSearchParams(await bodyOf(request)));
    request.session = cookies.get("passport");
    request.user = this.sessions.get(request.session);
    request.logout = (done) => done(this.sessions.delete(request.session) ? undefined : null);
    const pages = { "/protected/": "protected", "/logout": "logout", "/acs": "authenticate", "/slo": "authenticate" };
    if (address.pathname === "/metadata") {
      show(answer, this.metadata());
    } else if (pages[address.pathname]) {
      this[pages[address.pathname]](request, answer);
    } else {
      tell(answer, {});
    }
  }
}

async function bodyOf(request) {
  let body = "";
  for await (const part of request) body += part;
  return body;
}

function away(answer, url) {
  answer.writeHead(302, { Location: url });
  answer.end();
}

function show(answer, page) {
  answer.setHeader("Content-Type", "text/html; charset=utf-8");
  answer.end(page);
}

// Say what happened, as lines of NAME=value.
function tell(answer, what) {
  const lines = Object.entries(what).map(([name, value]) => `${name}=${[value].flat().join(";")}`);
  const text = lines.join("\n").replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  show(answer, `<title>passport-saml</title><pre id=seen>${text}</pre>`);
}

for (const each of JSON.parse(read("services.json"))) {
  const service = new Service(each);
  http
    .createServer((request, answer) => {
      service.handle(request, answer).catch((error) => tell(answer, { STATUS: error.message }));
    })
    .listen(service.port, "127.0.0.1");
}
