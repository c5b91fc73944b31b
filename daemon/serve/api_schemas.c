/* What the operations take and give, as JSON Schema: written from the vendor's API v1, not from what Belfry answers. */
#include "api.h"

/* "[X]": a page of them. The errors are those beside 401 and 403, which every operation has. */
const struct operation_shape operation_shapes[] = {
    { "getWorkspace", NULL, "Workspace", "" },
    { "listProcesses", NULL, "[Process]", "" },
    { "listProcessRuns", NULL, "[ProcessRun]", "400" },
    { "listProcessRunsOfProcess", NULL, "[ProcessRun]", "400" },
    { "getProcessRun", NULL, "ProcessRun", "404" },
    { "deleteProcessRun", NULL, "Deleted", "404 409" },
    { "stopProcessRun", "Stop", "Accepted", "400 404" },
    { "startProcessRun", "Start", "Started", "400 404 409 429" },
    { "startProcessRunQsAuth", "Anything", "Started", "400 404 409 429" },
    { "listProcessRunOutputs", NULL, "[Output]", "400 404" },
    { "listOutputsOfProcessRun", NULL, "[Output]", "400 404" },
    { "listStepRuns", NULL, "[StepRun]", "400 404" },
    { "listStepRunsOfProcessRun", NULL, "[StepRun]", "400 404" },
    { "getStepRun", NULL, "StepRun", "404" },
    { "listStepRunArtifacts", NULL, "[Artifact]", "400 404" },
    { "getStepRunArtifact", NULL, "ArtifactWithLink", "404" },
    { "listStepRunConsoleMessages", NULL, "[ConsoleMessage]", "400 404" },
    { "listStepRunEvents", NULL, "[Event]", "400 404" },
    { "listWorkItems", NULL, "[WorkItem]", "400 404" },
    { "listWorkItemsOfProcess", NULL, "[WorkItem]", "400" },
    { "listWorkItemsOfProcessRun", NULL, "[WorkItem]", "400 404" },
    { "createWorkItem", "WorkItemNew", "WorkItemWithData", "400" },
    { "runWorkItemBatchOperation", "Batch", "Accepted", "400 404 409" },
    { "getWorkItem", NULL, "WorkItemWithData", "404" },
    { "updateWorkItemPayload", "Payload", "Payload", "400 404 409" },
    { "updateWorkItemPayloadByPut", "Payload", "Payload", "400 404 409" },
    { "createWorkItemFile", "WorkItemFileNew", "WorkItemFileUpload", "400 404 409" },
    { "createWorkItemFileUpload", "WorkItemFileNew", "WorkItemFileUploadFlat", "400 404 409" },
    { "listAssets", NULL, "[AssetInList]", "400" },
    { "createAsset", "AssetNew", "Asset", "400" },
    { "getAsset", NULL, "Asset", "404" },
    { "deleteAsset", NULL, "Deleted", "404" },
    { "createAssetUpload", "AssetUploadNew", "AssetUpload", "400 404" },
    { "getAssetUpload", NULL, "AssetUpload", "404" },
    { "listWebhooks", NULL, "[WebhookInList]", "400" },
    { "createWebhook", "WebhookNew", "Webhook", "400" },
    { "getWebhook", NULL, "Webhook", "404" },
    { "deleteWebhook", NULL, "Deleted", "404" },
    { "listWorkers", NULL, "[Worker]", "400" },
    { "getWorker", NULL, "Worker", "404" },
    { "listWorkerGroups", NULL, "[Anything]", "400" },
    { "listAssistants", NULL, "[Anything]", "400" },
    { "listAssistantRuns", NULL, "[Anything]", "400" },
};
const size_t operation_shape_count = sizeof operation_shapes / sizeof *operation_shapes;

const char api_schemas[] = "{"
    "\"Error\":{\"type\":\"object\",\"required\":[\"error\"],\"properties\":{\"error\":{\"type\":\"object\",\"required\":["
    "\"code\",\"message\"],\"properties\":{\"code\":{\"type\":\"string\"},\"message\":{\"type\":\"string\"}}}}},"
    "\"Workspace\":{\"type\":\"object\",\"required\":[\"id\",\"name\",\"organization\"],\"properties\":{\"id\":{\"type\":\""
    "string\"},\"name\":{\"type\":\"string\"},\"organization\":{\"type\":\"object\",\"required\":[\"id\",\"name\"],\"proper"
    "ties\":{\"id\":{\"type\":\"string\"},\"name\":{\"type\":\"string\"}}}}},"
    "\"Process\":{\"type\":\"object\",\"required\":[\"id\",\"name\",\"created_at\"],\"properties\":{\"id\":{\"type\":\"stri"
    "ng\"},\"name\":{\"type\":\"string\"},\"created_at\":{\"type\":\"string\",\"format\":\"date-time\"}}},"
    "\"ProcessRun\":{\"type\":\"object\",\"required\":[\"id\",\"state\",\"created_at\",\"started_at\",\"ended_at\",\"durati"
    "on\",\"process\",\"started_by\"],\"properties\":{\"id\":{\"type\":\"string\"},\"state\":{\"type\":\"string\",\"enum\":"
    "[\"new\",\"in_progress\",\"completed\",\"unresolved\",\"stopping\"]},\"created_at\":{\"type\":\"string\",\"format\":\""
    "date-time\"},\"started_at\":{\"type\":\"string\",\"format\":\"date-time\",\"nullable\":true},\"ended_at\":{\"type\":\""
    "string\",\"format\":\"date-time\",\"nullable\":true},\"duration\":{\"type\":\"number\",\"nullable\":true},\"process\":"
    "{\"type\":\"object\",\"required\":[\"id\",\"name\"],\"properties\":{\"id\":{\"type\":\"string\"},\"name\":{\"type\":\""
    "string\"}}},\"started_by\":{\"type\":\"object\",\"required\":[\"type\",\"details\"],\"properties\":{\"type\":{\"type\""
    ":\"string\",\"enum\":[\"api\",\"user\",\"schedule\",\"email\"]},\"details\":{\"type\":\"object\",\"required\":[\"id\","
    "\"first_name\",\"last_name\"],\"properties\":{\"id\":{\"type\":\"string\"},\"first_name\":{\"type\":\"string\"},\"last"
    "_name\":{\"type\":\"string\"}},\"nullable\":true}}}}},"
    "\"Start\":{\"type\":\"object\",\"nullable\":true,\"properties\":{\"type\":{\"type\":\"string\",\"enum\":[\"with_work_i"
    "tem_ids\",\"with_inputs\",\"with_payloads\"]},\"work_item_ids\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}},"
    "\"payloads\":{\"type\":\"array\",\"items\":{}},\"callback\":{\"type\":\"object\",\"required\":[\"url\",\"secret\",\"ca"
    "llback_events\"],\"properties\":{\"url\":{\"type\":\"string\",\"format\":\"uri\"},\"secret\":{\"type\":\"string\"},\"c"
    "allback_events\":{\"type\":\"array\",\"items\":{\"type\":\"string\",\"enum\":[\"started\",\"completed\",\"unresolved\""
    "]}}}}}},"
    "\"Started\":{\"type\":\"object\",\"required\":[\"started\"],\"properties\":{\"started\":{\"type\":\"boolean\"},\"id\":"
    "{\"type\":\"string\"}}},"
    "\"Stop\":{\"type\":\"object\",\"required\":[\"set_remaining_work_items_as_done\",\"terminate_ongoing_activity_runs\"],"
    "\"properties\":{\"set_remaining_work_items_as_done\":{\"type\":\"boolean\"},\"terminate_ongoing_activity_runs\":{\"typ"
    "e\":\"boolean\"},\"reason\":{\"type\":\"string\"}}},"
    "\"Accepted\":{\"type\":\"object\",\"required\":[\"accepted\"],\"properties\":{\"accepted\":{\"type\":\"boolean\"}}},"
    "\"Deleted\":{\"type\":\"object\",\"required\":[\"id\",\"deleted\"],\"properties\":{\"id\":{\"type\":\"string\"},\"dele"
    "ted\":{\"type\":\"boolean\"}}},"
    "\"StepRun\":{\"type\":\"object\",\"required\":[\"id\",\"state\",\"state_updated_at\",\"error\",\"started_at\",\"ended_"
    "at\",\"duration\",\"step\"],\"properties\":{\"id\":{\"type\":\"string\"},\"state\":{\"type\":\"string\",\"enum\":[\"ne"
    "w\",\"awaiting_worker\",\"in_progress\",\"completed\",\"failed\"]},\"state_updated_at\":{\"type\":\"string\",\"format"
    "\":\"date-time\"},\"error\":{\"type\":\"object\",\"required\":[\"code\"],\"properties\":{\"code\":{"
    "\"type\":\"string\"}},\"nullable\":true},\"started_at\":{\"type\":\"string\",\"format\":\"date-time\",\"nullable\":tru"
    "e},\"ended_at\":{\"type\":\"string\",\"format\":\"date-time\",\"nullable\":true},\"duration\":{\"type\":\"number\",\"n"
    "ullable\":true},\"step\":{\"type\":\"object\",\"required\":[\"id\",\"name\"],\"properties\":{\"id\":{\"type\":\"string"
    "\"},\"name\":{\"type\":\"string\"}}}}},"
    "\"Artifact\":{\"type\":\"object\",\"required\":[\"id\",\"name\",\"size\"],\"properties\":{\"id\":{\"type\":\"string\"}"
    ",\"name\":{\"type\":\"string\"},\"size\":{\"type\":\"number\"}}},"
    "\"ArtifactWithLink\":{\"type\":\"object\",\"required\":[\"id\",\"name\",\"size\",\"url\"],\"properties\":{\"id\":{\"ty"
    "pe\":\"string\"},\"name\":{\"type\":\"string\"},\"size\":{\"type\":\"number\"},\"url\":{\"type\":\"string\",\"format\""
    ":\"uri\"}}},"
    "\"ConsoleMessage\":{\"type\":\"object\",\"required\":[\"timestamp\",\"message\"],\"properties\":{\"timestamp\":{\"type"
    "\":\"string\",\"format\":\"date-time\"},\"message\":{\"type\":\"string\"}}},"
    "\"Event\":{\"type\":\"object\",\"required\":[\"timestamp\",\"event_type\"],\"properties\":{\"timestamp\":{\"type\":\"s"
    "tring\",\"format\":\"date-time\"},\"event_type\":{\"type\":\"string\"}}},"
    "\"WorkItem\":{\"type\":\"object\",\"required\":[\"id\",\"created_at\",\"state\",\"state_updated_at\",\"process\",\"pro"
    "cess_run\",\"step\",\"step_run\",\"exception\"],\"properties\":{\"id\":{\"type\":\"string\"},\"created_at\":{\"type\":"
    "\"string\",\"format\":\"date-time\"},\"state\":{\"type\":\"string\",\"enum\":[\"new\",\"pending\",\"in_progress\",\"fa"
    "iled\",\"done\"]},\"state_updated_at\":{\"type\":\"string\",\"format\":\"date-time\",\"nullable\":true},\"process\":{"
    "\"type\":\"object\",\"required\":[\"id\"],\"properties\":{\"id\":{\"type\":\"string\"}}},\"process_run\":{\"type\":\"o"
    "bject\",\"required\":[\"id\"],\"properties\":{\"id\":{\"type\":\"string\"}},\"nullable\":true},\"step\":{\"type\":\"ob"
    "ject\",\"required\":[\"id\"],\"properties\":{\"id\":{\"type\":\"string\"}},\"nullable\":true},\"step_run\":{\"type\":"
    "\"object\",\"required\":[\"id\"],\"properties\":{\"id\":{\"type\":\"string\"}},\"nullable\":true},\"exception\":{\"typ"
    "e\":\"object\",\"required\":[\"type\"],\"properties\":{\"type\":{\"type\":\"string\",\"enum\":[\"application\",\"busin"
    "ess\",\"orchestrator\",\"unspecified\"]},\"code\":{\"type\":\"string\",\"nullable\":true},\"message\":{\"type\":\"stri"
    "ng\",\"nullable\":true}},\"nullable\":true}}},"
    "\"WorkItemWithData\":{\"type\":\"object\",\"required\":[\"id\",\"created_at\",\"state\",\"state_updated_at\",\"process"
    "\",\"process_run\",\"step\",\"step_run\",\"exception\",\"payload\",\"files\"],\"properties\":{\"id\":{\"type\":\"strin"
    "g\"},\"created_at\":{\"type\":\"string\",\"format\":\"date-time\"},\"state\":{\"type\":\"string\",\"enum\":[\"new\",\""
    "pending\",\"in_progress\",\"failed\",\"done\"]},\"state_updated_at\":{\"type\":\"string\",\"format\":\"date-time\",\"n"
    "ullable\":true},\"process\":{\"type\":\"object\",\"required\":[\"id\"],\"properties\":{\"id\":{\"type\":\"string\"}}},"
    "\"process_run\":{\"type\":\"object\",\"required\":[\"id\"],\"properties\":{\"id\":{\"type\":\"string\"}},\"nullable\":"
    "true},\"step\":{\"type\":\"object\",\"required\":[\"id\"],\"properties\":{\"id\":{\"type\":\"string\"}},\"nullable\":t"
    "rue},\"step_run\":{\"type\":\"object\",\"required\":[\"id\"],\"properties\":{\"id\":{\"type\":\"string\"}},\"nullable"
    "\":true},\"exception\":{\"type\":\"object\",\"required\":[\"type\"],\"properties\":{\"type\":{\"type\":\"string\",\"en"
    "um\":[\"application\",\"business\",\"orchestrator\",\"unspecified\"]},\"code\":{\"type\":\"string\",\"nullable\":true}"
    ",\"message\":{\"type\":\"string\",\"nullable\":true}},\"nullable\":true},\"payload\":{},\"files\":{\"type\":\"array\","
    "\"items\":{\"type\":\"object\",\"required\":[\"id\",\"size\",\"name\",\"download\"],\"properties\":{\"id\":{\"type\":"
    "\"string\"},\"size\":{\"type\":\"number\"},\"name\":{\"type\":\"string\"},\"download\":{\"type\":\"object\",\"required"
    "\":[\"url\"],\"properties\":{\"url\":{\"type\":\"string\",\"format\":\"uri\"}}}}}}}},"
    "\"WorkItemNew\":{\"type\":\"object\",\"required\":[\"process\",\"payload\"],\"properties\":{\"process\":{\"type\":\"ob"
    "ject\",\"required\":[\"id\"],\"properties\":{\"id\":{\"type\":\"string\"}}},\"payload\":{}}},"
    "\"Payload\":{\"type\":\"object\",\"required\":[\"payload\"],\"properties\":{\"payload\":{}}},"
    "\"WorkItemFileNew\":{\"type\":\"object\",\"required\":[\"file_name\",\"file_size\"],\"properties\":{\"file_name\":{\"t"
    "ype\":\"string\"},\"file_size\":{\"type\":\"number\"}}},"
    "\"WorkItemFileUpload\":{\"type\":\"object\",\"required\":[\"upload\"],\"properties\":{\"upload\":{\"type\":\"object\","
    "\"required\":[\"url\",\"form_data\"],\"properties\":{\"url\":{\"type\":\"string\",\"format\":\"uri\"},\"form_data\":{"
    "\"type\":\"object\"}}}}},"
    "\"WorkItemFileUploadFlat\":{\"type\":\"object\",\"required\":[\"url\",\"form_data\"],\"properties\":{\"url\":{\"type\""
    ":\"string\",\"format\":\"uri\"},\"form_data\":{\"type\":\"object\"},\"fields\":{\"type\":\"object\",\"description\":\"the same, as"
    " older clients call it\"}}},"
    "\"Batch\":{\"type\":\"object\",\"required\":[\"batch_operation\",\"work_item_ids\"],\"properties\":{\"batch_operation"
    "\":{\"type\":\"string\",\"enum\":[\"retry\",\"delete\",\"mark_as_done\"]},\"work_item_ids\":{\"type\":\"array\",\"item"
    "s\":{\"type\":\"string\"},\"description\":\"those of a run that is one command are marked as done, or deleted, all together\"}}},"
    "\"Output\":{\"type\":\"object\",\"required\":[\"id\",\"created_at\",\"process\",\"process_run\",\"payload\",\"files\"]"
    ",\"properties\":{\"id\":{\"type\":\"string\"},\"created_at\":{\"type\":\"string\",\"format\":\"date-time\"},\"process"
    "\":{\"type\":\"object\",\"required\":[\"id\"],\"properties\":{\"id\":{\"type\":\"string\"}}},\"process_run\":{\"type\""
    ":\"object\",\"required\":[\"id\"],\"properties\":{\"id\":{\"type\":\"string\"}}},\"payload\":{},\"files\":{\"type\":\""
    "array\",\"items\":{\"type\":\"object\",\"required\":[\"id\",\"size\",\"name\",\"download\"],\"properties\":{\"id\":{\""
    "type\":\"string\"},\"size\":{\"type\":\"number\"},\"name\":{\"type\":\"string\"},\"download\":{\"type\":\"object\",\"r"
    "equired\":[\"url\"],\"properties\":{\"url\":{\"type\":\"string\",\"format\":\"uri\"}}}}}}}},"
    "\"AssetNew\":{\"type\":\"object\",\"required\":[\"name\"],\"properties\":{\"name\":{\"type\":\"string\",\"description\":\"1"
    " to 255 bytes, without control characters\"}}},"
    "\"AssetInList\":{\"type\":\"object\",\"required\":[\"id\",\"name\"],\"properties\":{\"id\":{\"type\":\"string\"},\"nam"
    "e\":{\"type\":\"string\"}}},"
    "\"Asset\":{\"type\":\"object\",\"required\":[\"id\",\"name\",\"payload\"],\"properties\":{\"id\":{\"type\":\"string\"}"
    ",\"name\":{\"type\":\"string\"},\"payload\":{\"type\":\"object\",\"required\":[\"type\"],\"properties\":{\"type\":{\"t"
    "ype\":\"string\",\"enum\":[\"empty\",\"url\"]},\"content_type\":{\"type\":\"string\"},\"url\":{\"type\":\"string\",\"f"
    "ormat\":\"uri\"}}}}},"
    "\"AssetUploadNew\":{\"type\":\"object\",\"required\":[\"content_type\"],\"properties\":{\"content_type\":{\"type\":\"s"
    "tring\"},\"data\":{\"type\":\"string\",\"description\":\"base64; without it the bytes go to upload_url\"}}},"
    "\"AssetUpload\":{\"type\":\"object\",\"required\":[\"id\",\"status\",\"content_type\"],\"properties\":{\"id\":{\"type"
    "\":\"string\"},\"status\":{\"type\":\"string\",\"enum\":[\"pending\",\"completed\",\"failed\"]},\"content_type\":{\"ty"
    "pe\":\"string\"},\"upload_url\":{\"type\":\"string\",\"format\":\"uri\"},\"reason\":{\"type\":\"string\"}}},"
    "\"WebhookNew\":{\"type\":\"object\",\"required\":[\"endpoint\",\"enabled_events\",\"process\"],\"properties\":{\"endpo"
    "int\":{\"type\":\"string\",\"format\":\"uri\"},\"enabled_events\":{\"type\":\"array\",\"items\":{\"type\":\"string\","
    "\"enum\":[\"process_run.started\",\"process_run.completed\",\"process_run.unresolved\"]}},\"process\":{\"type\":\"obje"
    "ct\",\"required\":[\"id\"],\"properties\":{\"id\":{\"type\":\"string\"}}}}},"
    "\"WebhookInList\":{\"type\":\"object\",\"required\":[\"id\",\"process\",\"enabled_events\",\"endpoint\"],\"properties"
    "\":{\"id\":{\"type\":\"string\"},\"process\":{\"type\":\"object\",\"required\":[\"id\"],\"properties\":{\"id\":{\"type"
    "\":\"string\"}},\"nullable\":true},\"enabled_events\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}},\"endpoint"
    "\":{\"type\":\"string\",\"format\":\"uri\"}}},"
    "\"Webhook\":{\"type\":\"object\",\"required\":[\"id\",\"process\",\"enabled_events\",\"endpoint\",\"secret\"],\"proper"
    "ties\":{\"id\":{\"type\":\"string\"},\"process\":{\"type\":\"object\",\"required\":[\"id\"],\"properties\":{\"id\":{\""
    "type\":\"string\"}},\"nullable\":true},\"enabled_events\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}},\"endpo"
    "int\":{\"type\":\"string\",\"format\":\"uri\"},\"secret\":{\"type\":\"string\"}}},"
    "\"Worker\":{\"type\":\"object\",\"required\":[\"id\",\"name\",\"state\"],\"properties\":{\"id\":{\"type\":\"string\"},"
    "\"name\":{\"type\":\"string\"},\"state\":{\"type\":\"string\",\"enum\":[\"offline\",\"idle\",\"busy\"]}}},"
    "\"Anything\":{}"
    "}";
