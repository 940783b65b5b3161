//! Rows before they are columns: which columns of each table are filled, and the values of a minute.

use std::sync::Arc;

use super::words::Word;

/// The tables that are written, with the columns that are filled. Whatever else the schema has is
/// left out of the files, which costs nothing; see [`super::schema`].
macro_rules! tables {
    ($($table:ident $name:literal [$($column:literal)*] all [$($constant:literal = $word:ident)*];)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Table { $($table,)* }

        impl Table {
            pub const ALL: &'static [Self] = &[$(Self::$table,)*];

            /// The name in queries, and of the folder.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$table => $name,)* }
            }

            /// The columns of a row after `TimeGenerated`.
            #[must_use]
            pub fn filled(self) -> &'static [&'static str] {
                match self { $(Self::$table => &[$($column,)*],)* }
            }

            /// The columns that are the same in all rows.
            pub(super) fn constant(self) -> &'static [(&'static str, Same)] {
                match self { $(Self::$table => &[$(($constant, Same::$word),)*],)* }
            }
        }
    };
}

/// What a column has that is the same in all rows of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Same {
    /// The table's own name.
    Type,
    /// The id of the workspace: what the column `TenantId` means in Azure.
    Workspace,
    Subscription,
    /// The resource id of the application.
    Application,
    /// The resource id of the Cosmos account.
    Cosmos,
    /// The instrumentation key.
    Key,
    /// The SDK that tells.
    Sdk,
    /// What Application Insights keeps of an address: nothing.
    MaskedIp,
    Pc,
    Japan,
    Azure,
    True,
    Billed,
}

tables! {
    Requests "AppRequests" ["Id" "Name" "Url" "Success" "ResultCode" "DurationMs" "Properties" "OperationName"
        "OperationId" "SyntheticSource" "UserId" "AppVersion" "AppRoleName" "AppRoleInstance" "ClientCity"
        "ItemCount"]
        all ["TenantId" = Workspace "ClientType" = Pc "ClientIP" = MaskedIp "ClientCountryOrRegion" = Japan
        "IKey" = Key "SDKVersion" = Sdk "SourceSystem" = Azure "Type" = Type "_IsBillable" = True
        "_BilledSize" = Billed "_ResourceId" = Application "_SubscriptionId" = Subscription];
    Dependencies "AppDependencies" ["Id" "Target" "DependencyType" "Name" "Data" "Success" "ResultCode"
        "DurationMs" "Properties" "OperationName" "OperationId" "ParentId" "AppVersion" "AppRoleName"
        "AppRoleInstance" "ItemCount"]
        all ["TenantId" = Workspace "ClientType" = Pc "ClientIP" = MaskedIp "IKey" = Key "SDKVersion" = Sdk
        "SourceSystem" = Azure "Type" = Type "_IsBillable" = True "_BilledSize" = Billed
        "_ResourceId" = Application "_SubscriptionId" = Subscription];
    Traces "AppTraces" ["Message" "SeverityLevel" "Properties" "OperationName" "OperationId" "ParentId"
        "AppVersion" "AppRoleName" "AppRoleInstance" "ItemCount"]
        all ["TenantId" = Workspace "ClientType" = Pc "ClientIP" = MaskedIp "IKey" = Key "SDKVersion" = Sdk
        "SourceSystem" = Azure "Type" = Type "_IsBillable" = True "_BilledSize" = Billed
        "_ResourceId" = Application "_SubscriptionId" = Subscription];
    Exceptions "AppExceptions" ["ProblemId" "HandledAt" "ExceptionType" "Assembly" "Method" "OuterType"
        "OuterMessage" "OuterMethod" "InnermostType" "InnermostMessage" "SeverityLevel" "Properties"
        "OperationName" "OperationId" "ParentId" "AppVersion" "AppRoleName" "AppRoleInstance" "ItemCount"]
        all ["TenantId" = Workspace "ClientType" = Pc "ClientIP" = MaskedIp "IKey" = Key "SDKVersion" = Sdk
        "SourceSystem" = Azure "Type" = Type "_IsBillable" = True "_BilledSize" = Billed
        "_ResourceId" = Application "_SubscriptionId" = Subscription];
    Metrics "AppMetrics" ["Name" "ItemCount" "Sum" "Min" "Max" "Properties" "AppVersion" "AppRoleName"]
        all ["TenantId" = Workspace "ClientType" = Pc "IKey" = Key "SDKVersion" = Sdk "SourceSystem" = Azure
        "Type" = Type "_IsBillable" = True "_BilledSize" = Billed "_ResourceId" = Application
        "_SubscriptionId" = Subscription];
    Events "AppEvents" ["Name" "Properties" "OperationName" "OperationId" "AppVersion" "AppRoleName"
        "AppRoleInstance" "ItemCount"]
        all ["TenantId" = Workspace "ClientType" = Pc "ClientIP" = MaskedIp "IKey" = Key "SDKVersion" = Sdk
        "SourceSystem" = Azure "Type" = Type "_IsBillable" = True "_BilledSize" = Billed
        "_ResourceId" = Application "_SubscriptionId" = Subscription];
    Availability "AppAvailabilityResults" ["Id" "Name" "Location" "Success" "Message" "DurationMs"
        "OperationName" "OperationId" "SyntheticSource" "ItemCount"]
        all ["TenantId" = Workspace "IKey" = Key "SDKVersion" = Sdk "SourceSystem" = Azure "Type" = Type
        "_IsBillable" = True "_BilledSize" = Billed "_ResourceId" = Application
        "_SubscriptionId" = Subscription];
    AzureMetrics "AzureMetrics" ["ResourceId" "Resource" "ResourceGroup" "ResourceProvider" "MetricName"
        "Total" "Count" "Maximum" "Minimum" "Average" "TimeGrain" "UnitName" "_ResourceId"]
        all ["SourceSystem" = Azure "SubscriptionId" = Subscription "Type" = Type "_IsBillable" = True
        "_BilledSize" = Billed "_SubscriptionId" = Subscription];
    Activity "AzureActivity" ["OperationName" "OperationNameValue" "Level" "ActivityStatusValue"
        "ActivitySubstatusValue" "ResourceGroup" "CorrelationId" "Caller" "CategoryValue" "Properties"
        "ResourceProviderValue" "Resource" "EventDataId" "_ResourceId"]
        all ["TenantId" = Workspace "SourceSystem" = Azure "SubscriptionId" = Subscription "Type" = Type
        "_BilledSize" = Billed "_SubscriptionId" = Subscription];
    Signins "SigninLogs" ["OperationName" "Category" "ResultType" "ResultDescription" "CorrelationId" "Identity"
        "Location" "AppDisplayName" "AppId" "AuthenticationRequirement" "ClientAppUsed"
        "ConditionalAccessStatus" "CreatedDateTime" "IsInteractive" "Id" "IPAddress" "LocationDetails"
        "ResourceDisplayName" "Status" "UserDisplayName" "UserId" "UserPrincipalName" "UserType"]
        all ["SourceSystem" = Azure "AADTenantId" = Workspace "Type" = Type "_IsBillable" = True
        "_BilledSize" = Billed];
    ServiceSignins "AADServicePrincipalSignInLogs" ["OperationName" "Category" "ResultType"
        "ResultDescription" "CorrelationId" "Location" "AppId" "ClientCredentialType" "CreatedDateTime" "Id"
        "IPAddress" "ResourceDisplayName" "ServicePrincipalId" "ServicePrincipalName"]
        all ["TenantId" = Workspace "AADTenantId" = Workspace "SourceSystem" = Azure "Type" = Type
        "_IsBillable" = True "_BilledSize" = Billed];
    CosmosRequests "CDBDataPlaneRequests" ["AccountName" "OperationName" "ConnectionMode" "ActivityId" "UserAgent"
        "RequestResourceType" "RequestResourceId" "StatusCode" "RequestCharge" "DurationMs" "RequestLength"
        "ResponseLength" "RegionName" "PartitionId" "DatabaseName" "CollectionName" "AuthTokenType"]
        all ["TenantId" = Workspace "SourceSystem" = Azure "Type" = Type "_IsBillable" = True
        "_BilledSize" = Billed "_ResourceId" = Cosmos "_SubscriptionId" = Subscription];
    CosmosQueries "CDBQueryRuntimeStatistics" ["AccountName" "DatabaseName" "CollectionName"
        "PartitionKeyRangeId" "QueryText" "ActivityId"]
        all ["TenantId" = Workspace "SourceSystem" = Azure "Type" = Type "_IsBillable" = True
        "_BilledSize" = Billed "_ResourceId" = Cosmos "_SubscriptionId" = Subscription];
    PartitionCharges "CDBPartitionKeyRUConsumption" ["AccountName" "PartitionKey" "PartitionKeyRangeId"
        "RegionName" "DatabaseName" "CollectionName" "RequestCharge"]
        all ["TenantId" = Workspace "SourceSystem" = Azure "Type" = Type "_IsBillable" = True
        "_BilledSize" = Billed "_ResourceId" = Cosmos "_SubscriptionId" = Subscription];
    PartitionSizes "CDBPartitionKeyStatistics" ["AccountName" "RegionName" "PartitionKey" "SizeKb" "DatabaseName"
        "CollectionName"]
        all ["TenantId" = Workspace "SourceSystem" = Azure "Type" = Type "_IsBillable" = True
        "_BilledSize" = Billed "_ResourceId" = Cosmos "_SubscriptionId" = Subscription];
    Usage "Usage" ["StartTime" "EndTime" "DataType" "Solution" "Quantity" "QuantityUnit" "IsBillable"]
        all ["SourceSystem" = Azure "Type" = Type];
    Console "ContainerAppConsoleLogs_CL" ["ContainerAppName_s" "ContainerImage_s" "ContainerName_s"
        "EnvironmentName_s" "Log_s" "RevisionName_s" "Stream_s" "time_t"]
        all ["TenantId" = Workspace "Type" = Type "_IsBillable" = True "_BilledSize" = Billed];
    System "ContainerAppSystemLogs_CL" ["ContainerAppName_s" "EnvironmentName_s" "EventSource_s" "Log_s"
        "Reason_s" "ReplicaName_s" "RevisionName_s" "Type_s" "time_t"]
        all ["TenantId" = Workspace "Type" = Type "_IsBillable" = True "_BilledSize" = Billed];
}

impl Table {
    /// Bytes that a row is billed for, about.
    pub(super) fn billed_bytes(self) -> f64 {
        match self {
            Self::Requests => 1180.0,
            Self::Dependencies => 1240.0,
            Self::Traces => 820.0,
            Self::Exceptions => 2900.0,
            Self::Metrics => 690.0,
            Self::Events => 760.0,
            Self::Availability => 640.0,
            Self::AzureMetrics => 410.0,
            Self::Activity => 2300.0,
            Self::Signins => 5200.0,
            Self::ServiceSignins => 1900.0,
            Self::CosmosRequests => 780.0,
            Self::CosmosQueries => 700.0,
            Self::PartitionCharges | Self::PartitionSizes => 430.0,
            // The table about tables is not billed.
            Self::Usage => 0.0,
            Self::Console | Self::System => 520.0,
        }
    }
}

/// One value of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Null,
    /// A text that many rows share.
    Word(Word),
    Text(Arc<str>),
    /// 16 hexadecimal digits.
    Span(u64),
    /// 32 hexadecimal digits.
    Operation(u64, u64),
    Guid(u64, u64),
    /// Nanoseconds since 1970, whole ticks of 100.
    Time(i64),
    Real(f64),
    Int(i32),
    Bool(bool),
}

impl Value {
    pub(super) fn text(text: impl AsRef<str>) -> Self {
        Self::Text(Arc::from(text.as_ref()))
    }
}

/// Rows of one table, in the order of its columns.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    pub(super) table: Table,
    pub(super) times: Vec<i64>,
    pub(super) values: Vec<Value>,
}

impl Rows {
    pub(super) fn new(table: Table) -> Self {
        Self {
            table,
            times: Vec::new(),
            values: Vec::new(),
        }
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.times.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// `TimeGenerated` of a row, nanoseconds since 1970.
    #[must_use]
    pub fn time(&self, row: usize) -> i64 {
        self.times[row]
    }

    /// The value of a filled column.
    ///
    /// # Panics
    /// When the table does not fill the column.
    #[must_use]
    pub fn get(&self, row: usize, column: &str) -> &Value {
        let filled = self.table.filled();
        let at = filled.iter().position(|name| *name == column);
        &self.values[row * filled.len() + at.expect("a filled column")]
    }

    pub(super) fn push<const N: usize>(&mut self, at: i64, values: [Value; N]) {
        assert_eq!(N, self.table.filled().len(), "{}", self.table.name());
        self.times.push(at);
        self.values.extend(values);
    }

    pub(super) fn clear(&mut self) {
        self.times.clear();
        self.values.clear();
    }

    /// Moves all rows of `from`, by time, to the end.
    pub(super) fn take_sorted(&mut self, from: &mut Self) {
        let width = self.table.filled().len();
        let mut order: Vec<u32> = (0..).take(from.len()).collect();
        order.sort_by_key(|row| from.times[*row as usize]);
        for row in order {
            let row = row as usize;
            self.times.push(from.times[row]);
            let values = &mut from.values[row * width..(row + 1) * width];
            let taken = values.iter_mut().map(|v| std::mem::replace(v, Value::Null));
            self.values.extend(taken);
        }
        from.clear();
    }
}

/// The rows of a stretch of time, of all tables.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch(Vec<Rows>);

impl Default for Batch {
    fn default() -> Self {
        Self(Table::ALL.iter().map(|table| Rows::new(*table)).collect())
    }
}

impl Batch {
    #[must_use]
    pub fn rows(&self, table: Table) -> &Rows {
        &self.0[table as usize]
    }

    pub(super) fn of(&mut self, table: Table) -> &mut Rows {
        &mut self.0[table as usize]
    }

    /// Moves what a minute made behind what is here.
    pub(super) fn take(&mut self, minute: &mut Self) {
        for (into, from) in self.0.iter_mut().zip(&mut minute.0) {
            into.take_sorted(from);
        }
    }

    pub(super) fn each(&mut self) -> impl Iterator<Item = &mut Rows> {
        self.0.iter_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::telemetry::schema;

    #[test]
    fn every_column_that_is_filled_is_in_the_schema_once() {
        for table in Table::ALL {
            let schema = schema(table.name()).expect("a table");
            let constant = table.constant().iter().map(|(name, _)| *name);
            let mut all: Vec<_> = table.filled().iter().copied().chain(constant).collect();
            for column in &all {
                assert!(schema.index(column).is_some(), "{}.{column}", table.name());
            }
            all.sort_unstable();
            let count = all.len();
            all.dedup();
            assert_eq!(all.len(), count, "{}", table.name());
        }
    }
}
