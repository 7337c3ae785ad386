// A peer for bench.py: npm's smtp-server, storing each message as durably as postern does: the file synced in tmp/, renamed into new/, and
// new/ synced, before the reply.   node smtp-server.js NODE_MODULES MAILDIR PORT
'use strict';
const fs = require('fs/promises');
const path = require('path');
const [modules, maildir, port] = process.argv.slice(2);
const { SMTPServer } = require(path.join(modules, 'smtp-server'));
const fresh = path.join(maildir, 'new');
let count = 0;

async function store(stream) {
    const parts = [];
    for await (const part of stream)
        parts.push(part);
    const name = `${Date.now()}.P${process.pid}Q${count++}`;
    const file = await fs.open(path.join(maildir, 'tmp', name), 'wx', 0o600);
    await file.writeFile(Buffer.concat(parts));
    await file.datasync();
    await file.close();
    await fs.rename(path.join(maildir, 'tmp', name), path.join(fresh, name));
    const dir = await fs.open(fresh);
    await dir.sync();
    await dir.close();
}

new SMTPServer({
    authOptional: true,
    disableReverseLookup: true,
    disabledCommands: ['STARTTLS', 'AUTH'],
    maxClients: 1000,
    onData: (stream, session, done) => store(stream).then(() => done(), done),
}).listen(Number(port), '127.0.0.1');
