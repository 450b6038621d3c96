// Google's own library.
import { GoogleGenAI } from "@google/genai";
import { z } from "zod";
import { Calls, MOST, PARAMETERS, PIXEL, Person, joined, serve, token, url } from "./jobs.mjs";

const { models } = new GoogleGenAI({ apiKey: token, httpOptions: { baseUrl: url } });

const generate = {
  whole: async (job) => ({ text: (await models.generateContent({ model: job.model, contents: job.say })).text }),
  refused: (job) => generate.whole(job),
  async image(job) {
    const parts = [{ inlineData: { mimeType: "image/png", data: PIXEL } }, { text: job.say }];
    return { text: (await models.generateContent({ model: job.model, contents: [{ role: "user", parts }] })).text };
  },
  async streamed(job) {
    const parts = [];
    for await (const chunk of await models.generateContentStream({ model: job.model, contents: job.say })) {
      if (chunk.text) parts.push(chunk.text);
    }
    return joined(parts);
  },
  broken: (job) => generate.streamed(job),
  async loop(job, stream = false) {
    const calls = new Calls();
    const functionDeclarations = Object.entries(PARAMETERS).map(([name, parametersJsonSchema]) => ({
      name,
      parametersJsonSchema,
    }));
    const contents = [{ role: "user", parts: [{ text: job.say }] }];
    for (;;) {
      const asked = { model: job.model, contents, config: { tools: [{ functionDeclarations }] } };
      const chunks = [];
      if (stream) for await (const chunk of await models.generateContentStream(asked)) chunks.push(chunk);
      else chunks.push(await models.generateContent(asked));
      const parts = chunks.flatMap((chunk) => chunk.candidates?.[0]?.content?.parts ?? []);
      const called = parts.filter((part) => part.functionCall).map((part) => part.functionCall);
      const text = parts.map((part) => part.text ?? "").join("");
      if (!called.length || calls.length >= MOST) return { text, calls };
      contents.push({ role: "model", parts });
      const results = called.map(({ id, name, args }) => ({
        functionResponse: { id, name, response: { output: calls.run(name, args) } },
      }));
      contents.push({ role: "user", parts: results });
    }
  },
  loop_streamed: (job) => generate.loop(job, true),
  async structured(job) {
    const config = { responseMimeType: "application/json", responseJsonSchema: z.toJSONSchema(Person) };
    const answer = await models.generateContent({ model: job.model, contents: job.say, config });
    return { value: Person.parse(JSON.parse(answer.text)) };
  },
};

await serve(generate);
