// Makes src/types.ts from the service's description: node scripts/types.mjs http://127.0.0.1:8787/openapi.json [FILE]
import { writeFile } from "node:fs/promises";

const wanted = ["Outcome", "DispatchInfo", "PlannedTask", "WorkResult", "Receipt", "Standing", "FieldError", "Problem"];
const source = process.argv[2] ?? "http://127.0.0.1:8787/openapi.json";
const description = await (await fetch(source)).json();
const schemas = description.components.schemas;

/** The TypeScript type of a JSON schema. */
function type(schema) {
  if (!schema || Object.keys(schema).length === 0) return "unknown";
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (schema.oneOf) return schema.oneOf.map(type).join(" | ");
  if (schema.allOf) return schema.allOf.map(type).join(" & ");
  const kinds = [schema.type].flat();
  return kinds.map((kind) => one(kind, schema)).join(" | ");
}

function one(kind, schema) {
  switch (kind) {
    case "array":
      return `Array<${type(schema.items)}>`;
    case "object":
      return schema.properties ? members(schema) : "Record<string, unknown>";
    case "integer":
    case "number":
      return "number";
    case "string":
    case "boolean":
    case "null":
      return kind;
    default:
      return "unknown";
  }
}

/** The members of an object, indented once more than the object. */
function members(schema) {
  const required = new Set(schema.required ?? []);
  const lines = Object.entries(schema.properties ?? {}).map(([name, of]) => {
    const says = of.description ? `/** ${of.description.replaceAll("\n", " ")} */\n` : "";
    return `${says}${name}${required.has(name) ? "" : "?"}: ${type(of)};`;
  });
  return `{\n${lines.join("\n").replaceAll(/^/gm, "  ")}\n}`;
}

const parts = wanted
  .filter((name) => schemas[name])
  .map((name) => {
    const says = schemas[name].description ? `/** ${schemas[name].description.replaceAll("\n", " ")} */\n` : "";
    return `${says}export type ${name} = ${type(schemas[name])};\n`;
  });
await writeFile(process.argv[3] ?? "src/types.ts", `// Made by scripts/types.mjs of the service's description. Do not edit.\n\n${parts.join("\n")}`);
