use crate::domain::ResourceId;

/// What a resource of the estate is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    ResourceGroup,
    CosmosAccount,
    ContainerApp,
    SearchService,
    StorageAccount,
    KeyVault,
    Redis,
    Registry,
    Workspace,
}

impl Kind {
    /// The Azure resource type; a resource group has none.
    #[must_use]
    pub fn azure(self) -> &'static str {
        match self {
            Self::ResourceGroup => "",
            Self::CosmosAccount => "Microsoft.DocumentDB/databaseAccounts",
            Self::ContainerApp => "Microsoft.App/containerApps",
            Self::SearchService => "Microsoft.Search/searchServices",
            Self::StorageAccount => "Microsoft.Storage/storageAccounts",
            Self::KeyVault => "Microsoft.KeyVault/vaults",
            Self::Redis => "Microsoft.Cache/redis",
            Self::Registry => "Microsoft.ContainerRegistry/registries",
            Self::Workspace => "Microsoft.OperationalInsights/workspaces",
        }
    }
}

/// One resource of the estate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    pub id: ResourceId,
    pub kind: Kind,
    /// Short name.
    pub name: String,
    /// Name of its stamp.
    pub stamp: String,
}

/// A resource that is in the estate: there is no way to one but [`super::Estate::target`], so what
/// an alert names can be acted on only if the estate names it too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EstateTarget<'a>(&'a Resource);

impl<'a> EstateTarget<'a> {
    pub(super) fn new(resource: &'a Resource) -> Self {
        Self(resource)
    }

    /// The resource as the estate names it, not as the alert did.
    #[must_use]
    pub fn resource(self) -> &'a Resource {
        self.0
    }
}
