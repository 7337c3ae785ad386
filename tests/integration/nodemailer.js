// A client for test_tls_clients.py: nodemailer sends the message on its standard input.
//   node nodemailer.js NODE_MODULES SENDER RECIPIENT OPTIONS     the last as JSON, for createTransport()
'use strict';
const path = require('path');

const [modules, from, to, options] = process.argv.slice(2);
const { createTransport } = require(path.join(modules, 'nodemailer'));

async function main() {
    const chunks = [];
    for await (const chunk of process.stdin)
        chunks.push(chunk);
    const transport = createTransport(JSON.parse(options));
    const info = await transport.sendMail({ envelope: { from, to: [to] }, raw: Buffer.concat(chunks) });
    console.log(info.response);
    transport.close();
}

main().catch((error) => {
    console.error(`${error.code} ${error.responseCode}: ${error.message}`);
    process.exitCode = 1;
});
