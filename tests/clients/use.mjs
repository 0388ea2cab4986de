// The reference product's JavaScript client, as it is published, on a running service: nothing wrapped, or patched.
// Arguments: the service's address, the receiver's, the token ("" for none). Says what it found as one line of JSON.
import assert from 'node:assert/strict'
import { OpenMeter, HTTPError } from '@openmeter/sdk'

const [baseUrl, url, apiKey] = process.argv.slice(2)
const { channels, rules, events } = new OpenMeter({ baseUrl, apiKey: apiKey || undefined }).notifications
const client = new OpenMeter({ baseUrl, apiKey: apiKey || undefined })
const thresholds = [{ type: 'usage_percentage', value: 80.5 }]
const hook = { type: 'WEBHOOK', name: 'Hook', url }
const refused = (status) => (error) => error instanceof HTTPError && error.status === status

async function useChannels() {
  const made = []
  for (const disabled of [false, false, true]) {
    made.push(await channels.create({ ...hook, disabled, customHeaders: { 'X-A': '1' }, metadata: { team: 'a' } }))
  }
  assert.match(made[0].signingSecret, /^whsec_/)
  const read = await channels.get(made[0].id)
  assert.deepEqual([read.name, read.customHeaders, read.metadata], ['Hook', { 'X-A': '***' }, { team: 'a' }])
  assert.ok(read.createdAt instanceof Date)
  const changed = await channels.update(read.id, { ...read, name: 'Other' })
  assert.deepEqual([changed.name, changed.customHeaders], ['Other', { 'X-A': '***' }])
  const page = await channels.list({ page: 1, pageSize: 2, order: 'DESC', orderBy: 'createdAt', includeDisabled: true })
  assert.deepEqual([page.items.map((one) => one.id), page.totalCount], [[made[2].id, made[1].id], 3])
  assert.equal((await channels.list()).totalCount, 2)
  for (const one of made) await channels.delete(one.id)
  assert.equal((await channels.list({ includeDeleted: true, includeDisabled: true })).totalCount, 3)
  assert.ok((await channels.get(made[0].id)).deletedAt instanceof Date)
  await assert.rejects(channels.get('01K9ZBC3K9YJ4M2V7Q8R5T6W1X'), refused(404))
  await assert.rejects(channels.create({ ...hook, url: 'ftp://example.com/' }), refused(400))
}

async function useRules(channel) {
  const common = { name: 'Rule', channels: [channel.id] }
  const wanted = [
    { ...common, type: 'entitlements.balance.threshold', thresholds, features: ['llm_tokens'] },
    { ...common, type: 'entitlements.reset' },
    { ...common, type: 'invoice.created' },
    { ...common, type: 'invoice.updated', disabled: true },
  ]
  const made = []
  for (const one of wanted) made.push(await rules.create(one))
  for (const one of made) {
    const read = await rules.get(one.id)
    assert.deepEqual(read, one)
    assert.equal((await rules.update(one.id, { ...read, name: 'Renamed' })).name, 'Renamed')
  }
  assert.deepEqual((await rules.list({ page: 2, pageSize: 2 })).items.map((one) => one.id), [made[2].id])
  const all = { includeDisabled: true, orderBy: 'type', channel: [channel.id, 'x'] }
  assert.equal((await rules.list(all)).totalCount, 4)
  assert.ok((await rules.list({ feature: ['llm_tokens', 'x'] })).items.some((one) => one.id === made[0].id))
  await assert.rejects(channels.delete(channel.id), refused(400))
  return made
}

// The package has no method for it; its own client has the path.
async function testRules(made) {
  const tested = []
  for (const one of made) {
    const path = { ruleId: one.id }
    const answered = await client.client.POST('/api/v1/notification/rules/{ruleId}/test', { params: { path } })
    assert.equal(answered.response.status, one.disabled ? 400 : 201)
    if (answered.data) tested.push(answered.data)
  }
  for (const event of tested) assert.deepEqual(event.annotations, { 'notification.rule.test': true })
  return tested.map((event) => event.id)
}

async function useEvents(channel, rule, tested) {
  const from = new Date(Date.now() - 300_000)
  const to = new Date(Date.now() + 300_000)
  const filters = { from, to, rule: [rule.id, 'x'], channel: [channel.id], subject: ['sample-subject', 'a,b'] }
  const found = await events.list({ ...filters, feature: ['llm_tokens'], page: 1, pageSize: 9, order: 'DESC' })
  assert.deepEqual(found.items.map((one) => one.id), [tested[0]])
  assert.equal((await events.list({ ...filters, subject: ['x'] })).totalCount, 0)
  assert.equal((await events.list({ from: to })).totalCount, 0)
  const event = await events.get(tested[0])
  assert.equal(event.payload.data.threshold.value, 80.5)
  assert.equal(event.deliveryStatus[0].channel.id, channel.id)
  await events.resend(event.id, { channels: [channel.id] })
  await events.resend(event.id)
  await assert.rejects(events.resend(event.id, { channels: ['01K9ZBC3K9YJ4M2V7Q8R5T6W1X'] }), refused(400))
}

await useChannels()
const channel = await channels.create(hook)
const made = await useRules(channel)
const tested = await testRules(made)
await useEvents(channel, made[0], tested)
for (const one of made.slice(1)) await rules.delete(one.id)
assert.equal((await rules.list()).totalCount, 1)
console.log(JSON.stringify({ secret: channel.signingSecret, tested, rule: made[0].id }))
