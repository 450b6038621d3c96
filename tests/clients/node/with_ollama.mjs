// Ollama's own library.
import { Ollama } from "ollama";
import { z } from "zod";
import { Calls, MOST, PARAMETERS, PIXEL, Person, joined, serve, token, url } from "./jobs.mjs";

const ollama = new Ollama({ host: url, headers: { authorization: `Bearer ${token}` } });
const user = (job, more) => [{ role: "user", content: job.say, ...more }];

const chat = {
  async ask(job, messages, more) {
    return (await ollama.chat({ model: job.model, messages, ...more })).message;
  },
  whole: async (job) => ({ text: (await chat.ask(job, user(job))).content }),
  refused: (job) => chat.whole(job),
  image: async (job) => ({ text: (await chat.ask(job, user(job, { images: [PIXEL] }))).content }),
  async streamed(job) {
    const parts = [];
    for await (const part of await ollama.chat({ model: job.model, messages: user(job), stream: true })) {
      if (part.message.content) parts.push(part.message.content);
    }
    return joined(parts);
  },
  broken: (job) => chat.streamed(job),
  async loop(job, stream = false) {
    const calls = new Calls();
    const tools = Object.entries(PARAMETERS).map(([name, parameters]) => ({
      type: "function",
      function: { name, description: name, parameters },
    }));
    const messages = user(job);
    for (;;) {
      let said;
      if (stream) {
        said = { role: "assistant", content: "", tool_calls: [] };
        for await (const part of await ollama.chat({ model: job.model, messages, tools, stream })) {
          said.content += part.message.content;
          said.tool_calls.push(...(part.message.tool_calls ?? []));
        }
      } else {
        said = await chat.ask(job, messages, { tools });
      }
      if (!said.tool_calls?.length || calls.length >= MOST) return { text: said.content, calls };
      messages.push(said);
      for (const { function: called } of said.tool_calls) {
        messages.push({ role: "tool", content: calls.run(called.name, called.arguments), tool_name: called.name });
      }
    }
  },
  loop_streamed: (job) => chat.loop(job, true),
  async structured(job) {
    const said = await chat.ask(job, user(job), { format: z.toJSONSchema(Person) });
    return { value: Person.parse(JSON.parse(said.content)) };
  },
};

await serve(chat);
