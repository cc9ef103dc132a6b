// Joins the three members to the replica set `obl` and makes the user that the logger writes with.
// Run by mongosh --nodb; doing it again changes nothing.
const fs = require("fs");
const read = (path) => fs.readFileSync(path, "utf8").trim();

const MEMBERS = ["mongo1:27017", "mongo2:27017", "mongo3:27017"];
const DATABASE = "orderbook&trades";
const ALREADY_INITIALIZED = 23;

const root = encodeURIComponent(read("/mongo-secrets/root_password"));
const options = "authSource=admin&serverSelectionTimeoutMS=60000";

// one member by itself: before the set exists it cannot be found by its name
const first = connect(`mongodb://root:${root}@${MEMBERS[0]}/admin?directConnection=true&${options}`);
try {
  first.adminCommand({
    replSetInitiate: { _id: "obl", members: MEMBERS.map((host, _id) => ({ _id, host })) },
  });
} catch (error) {
  if (error.code !== ALREADY_INITIALIZED) throw error;
}

// any member: waits until one of them is primary
const admin = connect(`mongodb://root:${root}@${MEMBERS.join(",")}/admin?replicaSet=obl&${options}`);
const user = {
  pwd: read("/logger-secrets/mongodb_password"),
  roles: [{ role: "readWrite", db: DATABASE }],
};
if (admin.getUser("obl") === null) {
  admin.createUser({ user: "obl", ...user });
} else {
  admin.updateUser("obl", user);
}
print("replica set obl: ready");
