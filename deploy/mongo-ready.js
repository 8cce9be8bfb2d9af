// Health check of the mongo service of compose.yaml. Healthy means: primary, and the server's user may work.
// The first runs initiate the replica set and create the users, which MongoDB allows a local caller while it has none.
const fs = require('fs');
const password = (user) => fs.readFileSync(`/secrets/${user}`, 'utf8').trim();
const login = (user) => {
  try {
    return db.getSiblingDB('admin').auth(user, password(user)).ok === 1;
  } catch (error) {
    return false;
  }
};
const ROLE_EXISTS = 51002;
const role = (body) => {
  try {
    db.getSiblingDB('admin').createRole({ roles: [], ...body });
  } catch (error) {
    if (error.code !== ROLE_EXISTS) throw error;
  }
};
const admin = db.getSiblingDB('admin');

if (!db.hello().setName) {
  rs.initiate({ _id: 'aquifer', members: [{ _id: 0, host: '127.0.0.1:27017' }] });
}
if (!db.hello().isWritablePrimary) {
  quit(1);
}
if (!login('app')) {
  if (!login('admin')) {
    admin.createUser({ user: 'admin', pwd: password('admin'), roles: ['root'] });
    login('admin');
  }
  role({
    role: 'auditWriter',
    privileges: [
      { resource: { db: 'fhir_audit', collection: '' }, actions: ['find', 'insert', 'listCollections', 'listIndexes'] },
    ],
  });
  role({
    role: 'status',
    privileges: [{ resource: { cluster: true }, actions: ['serverStatus', 'replSetGetStatus'] }],
  });
  admin.createUser({
    user: 'app',
    pwd: password('app'),
    roles: [{ role: 'readWrite', db: 'fhir' }, 'auditWriter', 'status'],
  });
  quit(1); // the next run proves it
}
