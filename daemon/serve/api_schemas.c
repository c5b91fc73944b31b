/* What the operations take and give, as JSON Schema: written from the vendor's API v1, not from what Belfry answers. */
#include "api.h"

/* "[X]": a page of them; "X?": it may be left out. The errors are those beside 401 and 403, which every operation has; one without an
 * answer has no other than those, or, when nothing serves it, 501. */
const struct operation_shape operation_shapes[] = {
    { "getWorkspace", "Show the workspace", NULL, "Workspace", "" },
    { "listProcesses", "List the processes", NULL, "[Process]", "400" },
    { "listProcessRuns", "List the process runs, the newest first", NULL, "[ProcessRun]", "400" },
    { "listProcessRunsOfProcess", "List the runs of a process, the newest first", NULL, "[ProcessRun]", "400" },
    { "getProcessRun", "Show a process run", NULL, "ProcessRun", "404" },
    { "deleteProcessRun", "Delete a process run that has ended, with what it left", NULL, "Deleted", "404 409" },
    { "stopProcessRun", "Stop a process run", "Stop", "Accepted", "400 404" },
    { "startProcessRun", "Start a process run", "Start?", "Started", "400 404 409 429" },
    { "startProcessRunQsAuth", "Start a process run with the body as the payload of its work item, and the key in the URL",
      "Anything?", "Started", "400 404 409 429" },
    { "listProcessRunOutputs", "List the work items that a process run has put out", NULL, "[Output]", "400 404" },
    { "listOutputsOfProcessRun", "List the work items that a process run has put out", NULL, "[Output]", "400 404" },
    { "listStepRuns", "List the step runs of a process run", NULL, "[StepRun]", "400 404" },
    { "listStepRunsOfProcessRun", "List the step runs of a process run", NULL, "[StepRun]", "400 404" },
    { "getStepRun", "Show a step run", NULL, "StepRun", "404" },
    { "listStepRunArtifacts", "List the files that a step run has left", NULL, "[Artifact]", "400 404" },
    { "getStepRunArtifact", "Show a file that a step run has left, with a link to its bytes", NULL, "ArtifactWithLink", "404" },
    { "listStepRunConsoleMessages", "List the lines of a step run's console", NULL, "[ConsoleMessage]", "400 404" },
    { "listStepRunEvents", "List what happened to a step run", NULL, "[Event]", "400 404" },
    { "listWorkItems", "List the work items, of a process run or all", NULL, "[WorkItem]", "400 404" },
    { "listWorkItemsOfProcess", "List the work items of a process", NULL, "[WorkItem]", "400" },
    { "listWorkItemsOfProcessRun", "List the work items of a process run", NULL, "[WorkItem]", "400 404" },
    { "createWorkItem", "Make a work item that waits in the input of a process", "WorkItemNew", "WorkItemWithData", "400" },
    { "runWorkItemBatchOperation", "Try work items again, take them as done or delete them", "Batch", "Accepted", "400 404 409" },
    { "getWorkItem", "Show a work item with its payload and files", NULL, "WorkItemWithData", "404" },
    { "updateWorkItemPayload", "Change the payload of a work item", "Payload", "Payload", "400 404 409" },
    { "updateWorkItemPayloadByPut", "Change the payload of a work item", "Payload", "Payload", "400 404 409" },
    { "createWorkItemFile", "Announce a file of a work item, and get the link that takes it",
      "WorkItemFileNew", "WorkItemFileUpload", "400 404 409" },
    { "createWorkItemFileUpload", "Announce a file of a work item, and get the link that takes it",
      "WorkItemFileNew", "WorkItemFileUploadFlat", "400 404 409" },
    { "listAssets", "List the assets", NULL, "[AssetInList]", "400" },
    { "createAsset", "Make an asset, which is empty", "AssetNew", "Asset", "400" },
    { "getAsset", "Show an asset, by its id or name:NAME, with a link to its bytes", NULL, "Asset", "404" },
    { "deleteAsset", "Delete an asset", NULL, "Deleted", "404" },
    { "createAssetUpload", "Write an asset, at once or by a link that takes the bytes", "AssetUploadNew", "AssetUpload", "400 404" },
    { "getAssetUpload", "Show how the writing of an asset goes", NULL, "AssetUpload", "404" },
    { "listWebhooks", "List the webhooks", NULL, "[WebhookInList]", "400" },
    { "createWebhook", "Have a URL told of the runs of a process", "WebhookNew", "Webhook", "400" },
    { "getWebhook", "Show a webhook with its secret", NULL, "Webhook", "404" },
    { "deleteWebhook", "Delete a webhook", NULL, "Deleted", "404" },
    { "listWorkers", "List the workers: the machine is one", NULL, "[Worker]", "400" },
    { "createLinkToken", "Make a token that links a worker", NULL, NULL, "" },
    { "getWorker", "Show a worker", NULL, "Worker", "404" },
    { "updateWorker", "Rename a worker", NULL, NULL, "" },
    { "updateWorkerByPut", "Rename a worker", NULL, NULL, "" },
    { "deleteWorker", "Delete a worker", NULL, NULL, "" },
    { "listWorkerGroups", "List the worker groups: there are none", NULL, "[Anything]", "400" },
    { "createWorkerGroup", "Make a worker group", NULL, NULL, "" },
    { "getWorkerGroup", "Show a worker group", NULL, NULL, "404" },
    { "updateWorkerGroup", "Rename a worker group", NULL, NULL, "404" },
    { "updateWorkerGroupByPut", "Rename a worker group", NULL, NULL, "404" },
    { "deleteWorkerGroup", "Delete a worker group", NULL, NULL, "404" },
    { "addWorkerToGroup", "Put a worker into a group", NULL, NULL, "404" },
    { "addWorkerToGroupByPut", "Put a worker into a group", NULL, NULL, "404" },
    { "removeWorkerFromGroup", "Take a worker out of a group", NULL, NULL, "404" },
    { "listWorkerGroupLinkTokens", "List the link tokens of a worker group", NULL, NULL, "404" },
    { "createWorkerGroupLinkToken", "Make a link token of a worker group", NULL, NULL, "404" },
    { "getWorkerGroupLinkToken", "Show a link token of a worker group", NULL, NULL, "404" },
    { "updateWorkerGroupLinkToken", "Change a link token of a worker group", NULL, NULL, "404" },
    { "updateWorkerGroupLinkTokenByPut", "Change a link token of a worker group", NULL, NULL, "404" },
    { "deleteWorkerGroupLinkToken", "Delete a link token of a worker group", NULL, NULL, "404" },
    { "createTaskPackage", "Make a task package", NULL, NULL, "" },
    { "getTaskPackage", "Show a task package", NULL, NULL, "404" },
    { "getTaskPackageDownload", "Get a link to the bytes of a task package", NULL, NULL, "404" },
    { "getTaskPackageUpload", "Get a link that takes the bytes of a task package", NULL, NULL, "404" },
    { "deleteTaskPackage", "Delete a task package", NULL, NULL, "404" },
    { "listAssistants", "List the assistants: there are none", NULL, "[Anything]", "400" },
    { "createAssistant", "Make an assistant", NULL, NULL, "" },
    { "getAssistant", "Show an assistant", NULL, NULL, "404" },
    { "listRunsOfAssistant", "List the runs of an assistant", NULL, NULL, "404" },
    { "listAssistantRuns", "List the assistant runs: there are none", NULL, "[Anything]", "400" },
    { "getAssistantRun", "Show an assistant run", NULL, NULL, "404" },
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
