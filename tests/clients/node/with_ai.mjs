// Vercel's AI SDK: `openai`, `responses`, `anthropic` or `google`.
import { createAnthropic } from "@ai-sdk/anthropic";
import { createGoogleGenerativeAI } from "@ai-sdk/google";
import { createOpenAI } from "@ai-sdk/openai";
import { Output, generateText, jsonSchema, stepCountIs, streamText, tool } from "ai";
import { Calls, MOST, PARAMETERS, PIXEL, Person, joined, kind, serve, token, url } from "./jobs.mjs";

globalThis.AI_SDK_LOG_WARNINGS = false; // they would go to standard output
const v1 = { baseURL: `${url}/v1`, apiKey: token };
const model = {
  openai: (name) => createOpenAI(v1).chat(name),
  responses: (name) => createOpenAI(v1).responses(name),
  anthropic: (name) => createAnthropic(v1)(name),
  google: (name) => createGoogleGenerativeAI({ baseURL: `${url}/v1beta`, apiKey: token })(`models/${name}`),
}[kind];
const asked = (job) => ({ model: model(job.model), prompt: job.say, maxRetries: 0, stopWhen: stepCountIs(MOST) });

async function heard(options) {
  const parts = [];
  for await (const part of streamText({ ...options, onError: () => {} }).fullStream) {
    if (part.type === "text-delta") parts.push(part.text);
    if (part.type === "error") throw part.error;
  }
  return joined(parts);
}

function tools(calls) {
  const made = Object.entries(PARAMETERS).map(([name, schema]) => [
    name,
    tool({ inputSchema: jsonSchema(schema), execute: async (given) => calls.run(name, given) }),
  ]);
  return Object.fromEntries(made);
}

const ai = {
  whole: async (job) => ({ text: (await generateText(asked(job))).text }),
  refused: (job) => ai.whole(job),
  streamed: (job) => heard(asked(job)),
  broken: (job) => heard(asked(job)),
  async loop(job) {
    const calls = new Calls();
    return { text: (await generateText({ ...asked(job), tools: tools(calls) })).text, calls };
  },
  async loop_streamed(job) {
    const calls = new Calls();
    return { ...(await heard({ ...asked(job), tools: tools(calls) })), calls };
  },
  structured: async (job) => ({
    value: (await generateText({ ...asked(job), output: Output.object({ schema: Person }) })).output,
  }),
  async image(job) {
    const picture = { type: "image", image: Buffer.from(PIXEL, "base64"), mediaType: "image/png" };
    const content = [{ type: "text", text: job.say }, picture];
    const { prompt, ...rest } = asked(job);
    return { text: (await generateText({ ...rest, messages: [{ role: "user", content }] })).text };
  },
};

await serve(ai);
