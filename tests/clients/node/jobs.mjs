// What every client program here does; python/jobs.py says how jobs come and answers go.
import { createInterface } from "node:readline";
import { z } from "zod";

export const MOST = 9;
export const PIXEL =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
export const Person = z.object({ name: z.string(), age: z.int().min(1) });
export const [, , kind, url, token] = process.argv;

const one = (field) => ({
  type: "object",
  properties: { [field]: { type: "string" } },
  required: [field],
  additionalProperties: false,
});
export const PARAMETERS = { weather: one("city"), clock: one("zone") };

// The calls of tools so far, and what each tool answers.
export class Calls extends Array {
  run(name, given) {
    this.push([name, given]);
    return name === "weather" ? `sunny in ${given.city}` : `noon in ${given.zone}`;
  }
}

export const joined = (parts) => ({ text: parts.join(""), parts: parts.length });

const tell = (got) => process.stdout.write(JSON.stringify(got) + "\n");

// The innermost error that knows an HTTP status, since frameworks wrap what libraries raise.
function refused(error) {
  let status = null;
  for (let seen = error; seen; seen = seen.cause ?? seen.lastError) {
    status = seen.status ?? seen.statusCode ?? seen.status_code ?? status;
  }
  return { error: String(error?.stack ?? JSON.stringify(error)).slice(0, 2000), status };
}

export async function serve(client) {
  tell({ ready: true });
  for await (const line of createInterface({ input: process.stdin })) {
    const job = JSON.parse(line);
    try {
      tell(await client[job.do](job));
    } catch (error) {
      console.error(error);
      tell(refused(error));
    }
  }
}
