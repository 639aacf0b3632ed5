// Prints workflow commands with GitHub's own toolkit. Standard input is a JSON array of annotations
// {level, properties: [[name, value]…], message}. For each, two lines are printed: the command with the properties in the
// given order, and the command of the function for actions (`error`, `warning`, `notice`), which has an order of its own.
//
//     node workflow_commands.mjs NODE_MODULES <annotations.json

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const folder = pathToFileURL(`${process.argv[2]}/@actions/core/lib/`);
const { issueCommand } = await import(new URL("command.js", folder));
const core = await import(new URL("core.js", folder));

const NAMES = { col: "startColumn", line: "startLine" };
for (const { level, properties, message } of JSON.parse(readFileSync(0, "utf8"))) {
  issueCommand(level, Object.fromEntries(properties), message);
  core[level](message, Object.fromEntries(properties.map(([name, value]) => [NAMES[name] ?? name, value])));
}
