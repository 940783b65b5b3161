//! The columns of every table, in Azure's order: `Name:type`, or `Name` alone for a string.
//!
//! `@start`, `@app` and `@end` stand for the groups below, which most tables share. Source: the
//! table reference of Azure Monitor Logs. The two `_CL` tables have what Container Apps sends when
//! an environment names a workspace; such tables have no published list, so it is what is commonly seen.

pub(super) const START: &str = "TenantId TimeGenerated:datetime";

/// What every Application Insights table says about the operation and its client.
pub(super) const APP: &str = "OperationName OperationId ParentId SyntheticSource SessionId UserId UserAuthenticatedId \
     UserAccountId AppVersion AppRoleName AppRoleInstance ClientType ClientModel ClientOS \
     ClientIP ClientCity ClientStateOrProvince ClientCountryOrRegion ClientBrowser ResourceGUID \
     IKey SDKVersion";

pub(super) const END: &str =
    "SourceSystem Type _IsBillable _BilledSize:real _ResourceId _SubscriptionId";

pub(super) const TABLES: &[(&str, &str)] = &[
    (
        "AppRequests",
        "@start Id Source Name Url Success:bool ResultCode DurationMs:real Properties:dynamic \
     Measurements:dynamic @app ItemCount:int ReferencedItemId ReferencedType @end",
    ),
    (
        "AppDependencies",
        "@start Id Target DependencyType Name Data Success:bool ResultCode DurationMs:real \
     Properties:dynamic Measurements:dynamic @app ItemCount:int ReferencedItemId ReferencedType \
     @end",
    ),
    (
        "AppTraces",
        "@start Message SeverityLevel:int Properties:dynamic Measurements:dynamic @app ItemCount:int \
     ReferencedItemId ReferencedType @end",
    ),
    (
        "AppExceptions",
        "@start ProblemId HandledAt ExceptionType Message Assembly Method OuterType OuterMessage \
     OuterAssembly OuterMethod InnermostType InnermostMessage InnermostAssembly InnermostMethod \
     SeverityLevel:int Details:dynamic Properties:dynamic Measurements:dynamic @app ItemCount:int \
     @end",
    ),
    (
        "AppMetrics",
        "@start Name ItemCount:int Sum:real Min:real Max:real Properties:dynamic @app @end",
    ),
    (
        "AppEvents",
        "@start Name Properties:dynamic Measurements:dynamic @app ItemCount:int @end",
    ),
    (
        "AppAvailabilityResults",
        "@start Id Name Location Success:bool Message DurationMs:real Properties:dynamic \
     Measurements:dynamic @app ItemCount:int @end",
    ),
    (
        "AzureMetrics",
        "SourceSystem TimeGenerated:datetime ResourceId OperationName OperationVersion Category \
     ResultType ResultSignature ResultDescription DurationMs:long CallerIpAddress CorrelationId \
     Resource ResourceGroup ResourceProvider SubscriptionId MetricName Total:real Count:real \
     Maximum:real Minimum:real Average:real TimeGrain UnitName RemoteIPCountry \
     RemoteIPLatitude:real RemoteIPLongitude:real MaliciousIP IndicatorThreatType Description \
     TLPLevel Confidence Severity:int FirstReportedDateTime LastReportedDateTime IsActive Type \
     _IsBillable _BilledSize:real _ResourceId _SubscriptionId",
    ),
    (
        "AzureActivity",
        "OperationName OperationNameValue Level ActivityStatus ActivityStatusValue ActivitySubstatus \
     ActivitySubstatusValue ResourceGroup SubscriptionId CorrelationId Caller CallerIpAddress \
     Category CategoryValue HTTPRequest Properties EventSubmissionTimestamp:datetime \
     Authorization ResourceId OperationId ResourceProvider ResourceProviderValue Resource \
     EventDataId @start SourceSystem Authorization_d:dynamic Claims Claims_d:dynamic \
     Properties_d:dynamic Hierarchy Type _IsBillable _BilledSize:real _ResourceId _SubscriptionId",
    ),
    (
        "SigninLogs",
        "SourceSystem TimeGenerated:datetime ResourceId OperationName OperationVersion Category \
     ResultType ResultSignature ResultDescription DurationMs:long CorrelationId Resource \
     ResourceGroup ResourceProvider Identity Level Location AlternateSignInName AppDisplayName \
     AppId AuthenticationContextClassReferences AuthenticationDetails \
     AppliedEventListeners:dynamic AuthenticationMethodsUsed AuthenticationProcessingDetails \
     AuthenticationRequirement AuthenticationRequirementPolicies ClientAppUsed \
     ConditionalAccessPolicies:dynamic ConditionalAccessStatus CreatedDateTime:datetime \
     DeviceDetail:dynamic IsInteractive:bool Id IPAddress IsRisky:bool LocationDetails:dynamic \
     MfaDetail:dynamic NetworkLocationDetails OriginalRequestId ProcessingTimeInMilliseconds \
     RiskDetail RiskEventTypes RiskEventTypes_V2 RiskLevelAggregated RiskLevelDuringSignIn \
     RiskState ResourceDisplayName ResourceIdentity ResourceServicePrincipalId ServicePrincipalId \
     ServicePrincipalName Status:dynamic TokenIssuerName TokenIssuerType UserAgent \
     UserDisplayName UserId UserPrincipalName AADTenantId UserType FlaggedForReview:bool \
     IPAddressFromResourceProvider SignInIdentifier SignInIdentifierType ResourceTenantId \
     HomeTenantId UniqueTokenIdentifier SessionId SessionLifetimePolicies AutonomousSystemNumber \
     AuthenticationProtocol CrossTenantAccessType AuthenticationAppDeviceDetails \
     AuthenticationAppPolicyEvaluationDetails ClientCredentialType FederatedCredentialId \
     GlobalSecureAccessIpAddress HomeTenantName IncomingTokenType IsTenantRestricted:bool \
     IsThroughGlobalSecureAccess:bool OriginalTransferMethod TokenProtectionStatusDetails:dynamic \
     AppOwnerTenantId ResourceOwnerTenantId Agent:dynamic SourceAppClientId \
     ConditionalAccessAudiences AuthenticatorAppLocation AppliedConditionalAccessPolicies \
     RiskLevel Type _IsBillable _BilledSize:real",
    ),
    (
        "AADServicePrincipalSignInLogs",
        "TenantId SourceSystem TimeGenerated:datetime OperationName OperationVersion Category \
     ResultType ResultSignature ResultDescription DurationMs:long CorrelationId ResourceGroup \
     Identity Level Location AppId AppOwnerTenantId AuthenticationContextClassReferences \
     AutonomousSystemNumber AuthenticationProcessingDetails ClientCredentialType \
     ConditionalAccessAudiences ConditionalAccessPolicies ConditionalAccessStatus \
     CreatedDateTime:datetime FederatedCredentialId Id IPAddress LocationDetails \
     NetworkLocationDetails ResourceDisplayName ResourceIdentity ResourceOwnerTenantId \
     ResourceServicePrincipalId ServicePrincipalCredentialKeyId \
     ServicePrincipalCredentialThumbprint ServicePrincipalId ServicePrincipalName SessionId \
     UniqueTokenIdentifier Agent UserAgent AADTenantId Type _IsBillable _BilledSize:real",
    ),
    (
        "CDBDataPlaneRequests",
        "@start AccountName OperationName ConnectionMode ActivityId UserAgent RequestResourceType \
     RequestResourceId StatusCode:int ClientIpAddress RequestCharge:real DurationMs:real \
     RequestLength:real ResponseLength:real RegionName PartitionId AadAppliedRoleAssignmentId \
     AadPrincipalId DatabaseName CollectionName ResourceTokenPermissionId \
     ResourceTokenPermissionMode ResourceTokenUserRid KeyType AuthTokenType @end",
    ),
    (
        "CDBQueryRuntimeStatistics",
        "@start AccountName DatabaseName CollectionName PartitionKeyRangeId QueryText ActivityId \
     CorrelatedActivityId @end",
    ),
    (
        "CDBPartitionKeyRUConsumption",
        "@start AccountName ActivityId PartitionKey PartitionKeyRangeId OperationName RegionName \
     DatabaseName CollectionName RequestCharge:real @end",
    ),
    (
        "CDBPartitionKeyStatistics",
        "@start AccountName RegionName PartitionKey SizeKb:int DatabaseName CollectionName @end",
    ),
    (
        "Usage",
        "Computer TimeGenerated:datetime Plan SourceSystem StartTime:datetime EndTime:datetime \
     ResourceUri LinkedResourceUri DataType Solution BatchesWithinSla:long BatchesOutsideSla:long \
     BatchesCapped:long TotalBatches:long AvgLatencyInSeconds:real Quantity:real QuantityUnit \
     IsBillable:bool MeterId LinkedMeterId Type _IsBillable _BilledSize:real",
    ),
    (
        "Heartbeat",
        "SourceSystem TimeGenerated:datetime ManagementGroupName ComputerIP Computer Category OSType \
     OSName OSMajorVersion OSMinorVersion Version SCAgentChannel IsGatewayInstalled:bool \
     RemoteIPLongitude:real RemoteIPLatitude:real RemoteIPCountry SubscriptionId ResourceGroup \
     ResourceProvider Resource ResourceId ResourceType ComputerEnvironment Solutions VMUUID \
     ComputerPrivateIPs:dynamic Type _IsBillable _BilledSize:real _ResourceId _SubscriptionId",
    ),
    (
        "ContainerAppConsoleLogs",
        "@start OperationName Location ContainerName ContainerGroupName ContainerImage Stream \
     ContainerGroupId EnvironmentName Log ContainerAppName ContainerId RevisionName JobName @end",
    ),
    (
        "ContainerAppSystemLogs",
        "@start OperationName Location ContainerName EnvironmentName Log RevisionName Type \
     ContainerAppName ReplicaName Reason EventSource Count:int JobName ComponentName \
     ComponentType SourceSystem _IsBillable _BilledSize:real _ResourceId _SubscriptionId",
    ),
    (
        "ContainerAppConsoleLogs_CL",
        "@start Computer ManagementGroupName RawData _timestamp_d:real ContainerAppName_s \
     ContainerGroupId_g:guid ContainerGroupName_s ContainerId_s ContainerImage_s ContainerName_s \
     EnvironmentName_s Log_s RevisionName_s Stream_s time_t:datetime @end",
    ),
    (
        "ContainerAppSystemLogs_CL",
        "@start Computer ManagementGroupName RawData _timestamp_d:real ContainerAppName_s \
     Count_d:real EnvironmentName_s EventSource_s JobName_s Log_s Reason_s ReplicaName_s \
     RevisionName_s TimeStamp_s Type_s time_t:datetime @end",
    ),
];
