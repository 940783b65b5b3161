// A mail server on loopback: prints its port, then every mail that it takes as one line of JSON.
// Arguments: certificate, key, how many mails are answered with 451 first.
const { readFileSync } = require("node:fs");
const { SMTPServer } = require("smtp-server");
const { simpleParser } = require("mailparser");

const [certificate, key, busy] = process.argv.slice(2);
let refuse = Number(busy ?? 0);

const server = new SMTPServer({
  cert: readFileSync(certificate),
  key: readFileSync(key),
  authMethods: ["PLAIN", "LOGIN"],
  allowInsecureAuth: false,
  onAuth(auth, session, callback) {
    const known = auth.username === "poolkeeper" && auth.password === "mail-secret-0123456789";
    if (!known || !session.secure) {
      const error = new Error(`no such user: ${auth.username} ${auth.password}`);
      error.responseCode = 535;
      return callback(error);
    }
    callback(null, { user: auth.username });
  },
  onData(stream, session, callback) {
    const pieces = [];
    stream.on("data", (piece) => pieces.push(piece));
    stream.on("end", async () => {
      if (refuse > 0) {
        refuse -= 1;
        const error = new Error("come again");
        error.responseCode = 451;
        return callback(error);
      }
      const mail = await simpleParser(Buffer.concat(pieces));
      const from = session.envelope.mailFrom.address;
      const to = session.envelope.rcptTo.map((one) => one.address);
      const { subject, text, html, messageId, inReplyTo, references } = mail;
      const tls = session.secure ? session.tlsOptions?.standardName ?? true : false;
      const line = { from, to, subject, text, html, messageId, inReplyTo, references, tls, user: session.user };
      console.log(JSON.stringify(line));
      callback(null, "kept");
    });
  },
});
server.on("error", (error) => console.error(error.message));
server.listen(0, "127.0.0.1", () => console.log(JSON.stringify({ port: server.server.address().port })));
// Whoever started it keeps its input open.
process.stdin.on("end", () => process.exit(0)).resume();
